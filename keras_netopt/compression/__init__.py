"""Compression of a trained model to a budget, by the methods of this package.

`netopt.Target`, `netopt.compress` and `netopt.recipe` are its public names.
"""

from keras_netopt.compression.candidate import Candidate
from keras_netopt.compression.compress import compress
from keras_netopt.compression.recipe import recipe
from keras_netopt.compression.result import CompressionResult
from keras_netopt.compression.target import Target

__all__ = ["Candidate", "CompressionResult", "Target", "compress", "recipe"]
