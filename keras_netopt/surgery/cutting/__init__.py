"""Which channels go: scores, candidates, costs and the cut itself."""
