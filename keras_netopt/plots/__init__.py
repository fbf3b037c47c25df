"""Every picture of the package; needs matplotlib, `keras-netopt[plots]`.

Figures are made without `pyplot`: no global state, no window, no backend to
choose. Each function returns a figure, which notebooks show by themselves,
and writes a file where it is given a path.
"""

from keras_netopt.plots.arms import arm_comparison
from keras_netopt.plots.exits import exit_curve
from keras_netopt.plots.learning_rate import learning_rate_curve
from keras_netopt.plots.models import ModelPoint, model_comparison
from keras_netopt.plots.samples import samples_shown
from keras_netopt.plots.schedules import schedule_curve
from keras_netopt.plots.search import (
    importance_bars,
    parallel_coordinates,
    pareto_front,
    search_history,
    slices,
    trial_timeline,
)
from keras_netopt.plots.sparsity import sparsity_bars
from keras_netopt.plots.style import LABEL_LENGTH

__all__ = [
    "LABEL_LENGTH",
    "ModelPoint",
    "arm_comparison",
    "exit_curve",
    "importance_bars",
    "learning_rate_curve",
    "model_comparison",
    "parallel_coordinates",
    "pareto_front",
    "samples_shown",
    "schedule_curve",
    "search_history",
    "slices",
    "sparsity_bars",
    "trial_timeline",
]
