"""Progressive networks: one column per task, nothing forgotten."""

from keras_netopt.progressive.adapter_report import AdapterReport, AdapterRow
from keras_netopt.progressive.cached_features import (
    CachedFeatures,
    cache_features,
)
from keras_netopt.progressive.continual_metrics import (
    ContinualMetrics,
    continual_metrics,
)
from keras_netopt.progressive.export_task import export_task
from keras_netopt.progressive.forgetting_report import (
    ForgettingReport,
    TaskCheck,
)
from keras_netopt.progressive.measure_transfer import measure_transfer
from keras_netopt.progressive.next_task import next_task
from keras_netopt.progressive.progress_compress import ProgressCompress
from keras_netopt.progressive.progressive_network import (
    ProgressiveNetwork,
    find_network,
)
from keras_netopt.progressive.prune_adapters import prune_adapters
from keras_netopt.progressive.sensitivity import sensitivity
from keras_netopt.progressive.sensitivity_report import SensitivityReport
from keras_netopt.progressive.task_costs import NetworkCosts, TaskCosts
from keras_netopt.progressive.task_data import TaskData
from keras_netopt.progressive.transfer_matrix import transfer_matrix
from keras_netopt.progressive.transfer_matrix_report import TransferMatrix
from keras_netopt.progressive.transfer_report import TransferReport
from keras_netopt.progressive.transfer_score import (
    TransferScore,
    transfer_score,
)

__all__ = [
    "AdapterReport",
    "AdapterRow",
    "CachedFeatures",
    "ContinualMetrics",
    "ForgettingReport",
    "NetworkCosts",
    "ProgressCompress",
    "ProgressiveNetwork",
    "SensitivityReport",
    "TaskCheck",
    "TaskCosts",
    "TaskData",
    "TransferMatrix",
    "TransferReport",
    "TransferScore",
    "cache_features",
    "continual_metrics",
    "export_task",
    "find_network",
    "measure_transfer",
    "next_task",
    "prune_adapters",
    "sensitivity",
    "transfer_matrix",
    "transfer_score",
]
