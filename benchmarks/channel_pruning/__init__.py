"""Channel pruning against dense training, controls and a smaller network."""
