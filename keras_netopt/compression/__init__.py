"""Compression of a trained model to a budget, by the methods of this package.

`netopt.Target`, `netopt.compress` and `netopt.recipe` are its public names.
"""

from keras_netopt.compression.target import Target

__all__ = ["Target"]
