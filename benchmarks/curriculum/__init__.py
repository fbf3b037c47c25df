"""Curricula against ordinary training and their control arm."""
