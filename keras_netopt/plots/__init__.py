"""All plots of the package; requires matplotlib, `keras-netopt[plots]`.

Figures are created without `pyplot`: no global state, no window, no backend
selection. Each function returns a figure, which notebooks display, and writes
a file if a path is given.
"""

from keras_netopt.plots.arm_comparison import arm_comparison
from keras_netopt.plots.exits import exit_curve
from keras_netopt.plots.family_tree import FamilyMember, family_tree
from keras_netopt.plots.files import FilePoint, pareto_files
from keras_netopt.plots.learning_rate import learning_rate_curve
from keras_netopt.plots.models import ModelPoint, model_comparison
from keras_netopt.plots.sample_counts import sample_counts
from keras_netopt.plots.schedules import schedule_curve
from keras_netopt.plots.search import (
    importance_bars,
    pareto_front,
    search_history,
    slices,
)
from keras_netopt.plots.search_coordinates import parallel_coordinates
from keras_netopt.plots.search_timeline import trial_timeline
from keras_netopt.plots.sparsity import sparsity_bars
from keras_netopt.plots.style import LABEL_LENGTH
from keras_netopt.plots.transfer import (
    sensitivity_heatmap,
    transfer_curves,
    transfer_heatmap,
)

__all__ = [
    "FamilyMember",
    "FilePoint",
    "LABEL_LENGTH",
    "ModelPoint",
    "arm_comparison",
    "exit_curve",
    "family_tree",
    "importance_bars",
    "learning_rate_curve",
    "model_comparison",
    "parallel_coordinates",
    "pareto_files",
    "pareto_front",
    "sample_counts",
    "schedule_curve",
    "search_history",
    "sensitivity_heatmap",
    "slices",
    "sparsity_bars",
    "transfer_curves",
    "transfer_heatmap",
    "trial_timeline",
]
