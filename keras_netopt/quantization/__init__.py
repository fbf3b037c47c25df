"""Quantization of kernels during training: grids, clusters, masters."""
