"""Pruning of single weights: selection, scores, allocation, masks."""

from keras_netopt.sparsity.allocation import PerLayer
from keras_netopt.sparsity.compact import compact
from keras_netopt.sparsity.enable_lora import enable_lora
from keras_netopt.sparsity.grasp import Grasp
from keras_netopt.sparsity.kernel_view import KernelView
from keras_netopt.sparsity.mask_lifecycle import (
    apply_masks,
    load_masks,
    remove_masks,
)
from keras_netopt.sparsity.merge_lora import merge_lora
from keras_netopt.sparsity.patterns import NM, Block, Channel, Unstructured
from keras_netopt.sparsity.prune import prune
from keras_netopt.sparsity.pruner import Pruner
from keras_netopt.sparsity.selection import Selection, WeightTarget, select
from keras_netopt.sparsity.shuffle_masks import shuffle_masks
from keras_netopt.sparsity.snip import Snip
from keras_netopt.sparsity.sparsity_report import SparsityReport, report
from keras_netopt.sparsity.synflow import SynFlow

__all__ = [
    "NM",
    "Block",
    "Channel",
    "Grasp",
    "KernelView",
    "PerLayer",
    "Pruner",
    "Selection",
    "Snip",
    "SparsityReport",
    "SynFlow",
    "WeightTarget",
    "Unstructured",
    "apply_masks",
    "enable_lora",
    "compact",
    "load_masks",
    "merge_lora",
    "prune",
    "report",
    "select",
    "remove_masks",
    "shuffle_masks",
]
