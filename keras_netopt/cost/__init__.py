"""What a model costs: parameters, MACs, bytes, latency."""

from keras_netopt.cost.latency import Latency, LatencyReport, measure_latency
from keras_netopt.cost.mac_counter import MacCounter, matched_epochs
from keras_netopt.cost.report import CostReport, LayerCost
from keras_netopt.cost.summary import summarize

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
