"""The cost of a model: parameters, MACs, bytes and latency."""

from keras_netopt.cost.cost_report import CostReport, LayerCost
from keras_netopt.cost.mac_counter import MacCounter, matched_epochs
from keras_netopt.cost.measure_latency import (
    Latency,
    LatencyReport,
    measure_latency,
)
from keras_netopt.cost.summarize import summarize

__all__ = [
    "CostReport",
    "Latency",
    "LatencyReport",
    "LayerCost",
    "MacCounter",
    "matched_epochs",
    "measure_latency",
    "summarize",
]
