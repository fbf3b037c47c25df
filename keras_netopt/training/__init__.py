"""The only door to the internals of Keras' trainers and optimizers."""

from keras_netopt.training.backend import refresh, sync
from keras_netopt.training.carrier import Carrier, State
from keras_netopt.training.layers import (
    own_variables,
    variable_keys,
    walk_layers,
)
from keras_netopt.training.mask_file import variables_by_name
from keras_netopt.training.mask_store import MaskStore
from keras_netopt.training.piece import Piece
from keras_netopt.training.progress import Progress
from keras_netopt.training.recompile import recompile_keeping_state
from keras_netopt.training.shadow import shadow
from keras_netopt.training.warnings import (
    NoEffectWarning,
    NotIntendedUseWarning,
)

__all__ = [
    "Carrier",
    "MaskStore",
    "NoEffectWarning",
    "NotIntendedUseWarning",
    "Piece",
    "Progress",
    "State",
    "own_variables",
    "recompile_keeping_state",
    "refresh",
    "shadow",
    "sync",
    "variable_keys",
    "variables_by_name",
    "walk_layers",
]
