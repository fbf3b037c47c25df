"""Learning rate schedules that Keras lacks, for any Keras optimizer.

Keras has `CosineDecay` (with a warm-up) and `CosineDecayRestarts` (warm
restarts) itself, in `keras.optimizers.schedules`.
"""

from keras_netopt.learning_rate.cyclical import OneCycle, Triangular
from keras_netopt.learning_rate.warmup import (
    InverseSquareRoot,
    Warmup,
    WarmupStableDecay,
)

__all__ = [
    "InverseSquareRoot",
    "OneCycle",
    "Triangular",
    "Warmup",
    "WarmupStableDecay",
]
