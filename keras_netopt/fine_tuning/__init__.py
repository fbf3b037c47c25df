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
from keras_netopt.fine_tuning.warm_start import warm_start
from keras_netopt.fine_tuning.warm_start_report import (
    WarmStartReport,
    WarmStartRow,
)

__all__ = [
    "WarmStartReport",
    "WarmStartRow",
    "add_weight_normalization",
    "initialize_weight_normalization",
    "remove_weight_normalization",
    "warm_start",
]
