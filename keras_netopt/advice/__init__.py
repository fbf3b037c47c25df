"""Advice about models on a target: one function per rule."""
