"""Access to the internals of Keras' trainers and optimizers."""

from keras_netopt.training.backend import (
    reset_compiled_functions,
    sync_variables,
)
from keras_netopt.training.checkpoint_state import Arrays, CheckpointState
from keras_netopt.training.mask_file import variables_by_name
from keras_netopt.training.mask_store import MaskStore
from keras_netopt.training.override_method import override_method
from keras_netopt.training.progress import Progress
from keras_netopt.training.recompile import recompile_keeping_state
from keras_netopt.training.resumable_callback import ResumableCallback
from keras_netopt.warnings import (
    NoEffectWarning,
    NotIntendedUseWarning,
)

__all__ = [
    "Arrays",
    "CheckpointState",
    "MaskStore",
    "NoEffectWarning",
    "NotIntendedUseWarning",
    "ResumableCallback",
    "Progress",
    "recompile_keeping_state",
    "reset_compiled_functions",
    "override_method",
    "sync_variables",
    "variables_by_name",
]
