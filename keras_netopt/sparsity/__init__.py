"""Which weights go: selection, scores, allocation, patterns, masks, report."""
