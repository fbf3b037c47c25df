"""Drop-in Keras callbacks, installed as `keras_netopt.callbacks`."""

if __name__ != "keras_netopt.callbacks":
    raise ImportError(
        "Import `keras_netopt.callbacks`, not the source folder. "
        f"Received: __name__={__name__!r}"
    )

from keras_netopt.callbacks.architecture_search import ArchitectureSearch
from keras_netopt.callbacks.best_checkpoint import BestCheckpoint
from keras_netopt.callbacks.channel_pruning import ChannelPruning
from keras_netopt.callbacks.channel_sparsity import ChannelSparsity
from keras_netopt.callbacks.compute_tracker import ComputeTracker
from keras_netopt.callbacks.curriculum import Curriculum
from keras_netopt.callbacks.distillation import Distillation
from keras_netopt.callbacks.elastic_weight_consolidation import (
    ElasticWeightConsolidation,
)
from keras_netopt.callbacks.gradual_unfreezing import GradualUnfreezing
from keras_netopt.callbacks.growing import Growing
from keras_netopt.callbacks.layerwise_learning_rates import (
    LayerwiseLearningRates,
)
from keras_netopt.callbacks.learning_rate_finder import LearningRateFinder
from keras_netopt.callbacks.lottery_ticket import LotteryTicket
from keras_netopt.callbacks.parameter_scheduler import ParameterScheduler
from keras_netopt.callbacks.prechelt_stopping import PrecheltStopping
from keras_netopt.callbacks.pruning import Pruning
from keras_netopt.callbacks.quantization import Quantization
from keras_netopt.callbacks.selective_backprop import SelectiveBackprop
from keras_netopt.callbacks.sparse_training import SparseTraining

__all__ = [
    "ArchitectureSearch",
    "BestCheckpoint",
    "ChannelPruning",
    "ChannelSparsity",
    "ComputeTracker",
    "Curriculum",
    "Distillation",
    "ElasticWeightConsolidation",
    "ParameterScheduler",
    "GradualUnfreezing",
    "Growing",
    "LayerwiseLearningRates",
    "LearningRateFinder",
    "LotteryTicket",
    "PrecheltStopping",
    "Pruning",
    "Quantization",
    "SelectiveBackprop",
    "SparseTraining",
]
