"""Keras 3 models as models of tf_keras, and back."""

from keras_netopt.tf_keras_bridge.bridge_error import BridgeError
from keras_netopt.tf_keras_bridge.bridge_report import BridgeReport
from keras_netopt.tf_keras_bridge.find_obstacles import find_obstacles
from keras_netopt.tf_keras_bridge.obstacle import Obstacle
from keras_netopt.tf_keras_bridge.tfmot_bridge import TfmotBridge

__all__ = [
    "BridgeError",
    "BridgeReport",
    "Obstacle",
    "TfmotBridge",
    "find_obstacles",
]
