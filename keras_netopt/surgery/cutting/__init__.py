"""Channel pruning: scores, candidates, widths, costs and cuts."""
