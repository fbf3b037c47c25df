"""Which weights go: selection, scores, allocation, patterns, masks, report."""

from keras_netopt.sparsity.allocation import PerLayer
from keras_netopt.sparsity.kernels import KernelView
from keras_netopt.sparsity.lifecycle import finalize, load_masks, strip
from keras_netopt.sparsity.patterns import NM, Block, Channel, Unstructured
from keras_netopt.sparsity.prune import prune
from keras_netopt.sparsity.recipe import Recipe
from keras_netopt.sparsity.report import SparsityReport, report
from keras_netopt.sparsity.selection import Selection, WeightTarget, select

__all__ = [
    "NM",
    "Block",
    "Channel",
    "KernelView",
    "PerLayer",
    "Recipe",
    "Selection",
    "SparsityReport",
    "WeightTarget",
    "Unstructured",
    "finalize",
    "load_masks",
    "prune",
    "report",
    "select",
    "strip",
]
