"""Networks that run fewer layers when they can."""

from keras_netopt.depth.add_exits import add_exits
from keras_netopt.depth.exit_model import ExitModel
from keras_netopt.depth.frozen_exit_model import FrozenExitModel

__all__ = ["ExitModel", "FrozenExitModel", "add_exits"]
