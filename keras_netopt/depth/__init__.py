"""Networks with adaptive depth: fewer layers per step, sample or token."""

from keras_netopt.depth.add_stochastic_depth import add_stochastic_depth
from keras_netopt.depth.exits.add_exits import add_exits
from keras_netopt.depth.exits.calibrate import calibrate
from keras_netopt.depth.exits.calibrated_exits import CalibratedExits
from keras_netopt.depth.exits.exit_calibration import ExitCalibration
from keras_netopt.depth.exits.exit_evaluation import ExitEvaluation
from keras_netopt.depth.exits.exit_export import ExitExport
from keras_netopt.depth.exits.exit_model import ExitModel
from keras_netopt.depth.exits.frozen_backbone_exit_model import (
    FrozenBackboneExitModel,
)
from keras_netopt.depth.exits.threshold_search import OperatingPoint
from keras_netopt.depth.extract_subnetwork import extract_subnetwork
from keras_netopt.depth.linear_rates import linear_rates
from keras_netopt.depth.ponder_model import PonderModel

__all__ = [
    "CalibratedExits",
    "ExitCalibration",
    "ExitEvaluation",
    "ExitExport",
    "ExitModel",
    "FrozenBackboneExitModel",
    "OperatingPoint",
    "PonderModel",
    "add_exits",
    "add_stochastic_depth",
    "calibrate",
    "extract_subnetwork",
    "linear_rates",
]
