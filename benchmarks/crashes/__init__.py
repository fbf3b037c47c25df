"""Fits and searches that SIGKILL ends and that are started again."""
