"""Progressive networks: one column per task, nothing forgotten."""
