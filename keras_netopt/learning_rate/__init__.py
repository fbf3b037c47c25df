"""Learning rate schedules for any Keras optimizer.

They add to `CosineDecay` (with a warm-up) and `CosineDecayRestarts` (warm
restarts) of `keras.optimizers.schedules`.
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
