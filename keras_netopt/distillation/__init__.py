"""Distillation: what a student is compared with, and how."""
