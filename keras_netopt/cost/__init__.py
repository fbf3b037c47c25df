"""What a model costs: parameters, MACs, bytes, latency."""

from keras_netopt.cost.latency import Latency, LatencyReport, measure_latency
from keras_netopt.cost.ledger import Ledger
from keras_netopt.cost.report import CostReport, LayerCost
from keras_netopt.cost.summary import summarize

__all__ = [
    "CostReport",
    "Latency",
    "LatencyReport",
    "LayerCost",
    "Ledger",
    "measure_latency",
    "summarize",
]
