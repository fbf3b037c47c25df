"""Sparse sub-networks of a network, compared before they are trained."""
