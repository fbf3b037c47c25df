"""Networks that run fewer layers when they can."""

from keras_netopt.depth.add_stochastic import add_stochastic_depth
from keras_netopt.depth.exits.add_exits import add_exits
from keras_netopt.depth.exits.calibrate import calibrate
from keras_netopt.depth.exits.calibrated_exits import CalibratedExits
from keras_netopt.depth.exits.exit_model import ExitModel
from keras_netopt.depth.exits.exit_report import ExitEvaluation
from keras_netopt.depth.exits.frozen_exit_model import FrozenExitModel
from keras_netopt.depth.exits.threshold_search import ExitPoint
from keras_netopt.depth.extract import extract
from keras_netopt.depth.ponder_model import PonderModel
from keras_netopt.depth.rates import linear_rates

__all__ = [
    "CalibratedExits",
    "ExitEvaluation",
    "ExitModel",
    "ExitPoint",
    "FrozenExitModel",
    "PonderModel",
    "add_exits",
    "add_stochastic_depth",
    "calibrate",
    "extract",
    "linear_rates",
]
