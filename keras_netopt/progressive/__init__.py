"""Progressive networks: one column per task, nothing forgotten."""

from keras_netopt.progressive.continual_metrics import (
    ContinualMetrics,
    continual_metrics,
)
from keras_netopt.progressive.transfer_score import (
    TransferScore,
    transfer_score,
)

__all__ = [
    "ContinualMetrics",
    "TransferScore",
    "continual_metrics",
    "transfer_score",
]
