"""Fine-tuning: unfreezing, learning rates per layer, warm starts."""

from keras_netopt.fine_tuning.add_weight_normalization import (
    add_weight_normalization,
)
from keras_netopt.fine_tuning.initialize_weight_normalization import (
    initialize_weight_normalization,
)
from keras_netopt.fine_tuning.remove_weight_normalization import (
    remove_weight_normalization,
)

__all__ = [
    "add_weight_normalization",
    "initialize_weight_normalization",
    "remove_weight_normalization",
]
