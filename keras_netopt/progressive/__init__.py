"""Progressive networks: one column per task, nothing forgotten."""

from keras_netopt.progressive.adapter_report import AdapterReport, AdapterRow
from keras_netopt.progressive.continual_metrics import (
    ContinualMetrics,
    continual_metrics,
)
from keras_netopt.progressive.forgetting_report import (
    ForgettingReport,
    TaskCheck,
)
from keras_netopt.progressive.next_task import next_task
from keras_netopt.progressive.progressive_network import (
    ProgressiveNetwork,
    find_network,
)
from keras_netopt.progressive.prune_adapters import prune_adapters
from keras_netopt.progressive.task_costs import NetworkCosts, TaskCosts
from keras_netopt.progressive.transfer_report import TransferReport
from keras_netopt.progressive.transfer_score import (
    TransferScore,
    transfer_score,
)

__all__ = [
    "AdapterReport",
    "AdapterRow",
    "ContinualMetrics",
    "ForgettingReport",
    "NetworkCosts",
    "ProgressiveNetwork",
    "TaskCheck",
    "TaskCosts",
    "TransferReport",
    "TransferScore",
    "continual_metrics",
    "find_network",
    "next_task",
    "prune_adapters",
    "transfer_score",
]
