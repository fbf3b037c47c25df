#!/usr/bin/env bash
# tensorflow-model-optimization 0.8.1, tf_keras 2.21.0: `quantize_model` gives a Dense or Conv2D layer that feeds a ReLU layer
# (`ReLU()` or `Activation("relu")`) without batch normalization in between a `NoOpQuantizeConfig`. Its kernel is not rounded
# in training, without a word. The same layer with `activation="relu"`, or with BatchNormalization before the ReLU, is rounded.
#
# Expected output:
#   Dense, ReLU layer: 0 rounded weights (NoOpQuantizeConfig)
#   Dense, Activation layer: 0 rounded weights (NoOpQuantizeConfig)
#   Conv2D, ReLU layer: 0 rounded weights (NoOpQuantizeConfig)
#   Dense with activation="relu": 1 rounded weights (Default8BitQuantizeConfig)
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q tensorflow-model-optimization==0.8.1 tf_keras==2.21.0 tensorflow==2.21.0 "setuptools<81"
cd "$folder"
TF_USE_LEGACY_KERAS=1 TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2>/dev/null
import sys

import tensorflow_model_optimization as tfmot
import tf_keras

L = tf_keras.layers


def count(shape, *layers):
    model = tf_keras.Sequential([tf_keras.Input(shape), *layers])
    wrapped = tfmot.quantization.keras.quantize_model(model).get_layer("quant_first")
    # QuantizeWrapperV2 lists here the weights that it rounds in each step.
    return len(wrapped._weight_vars), type(wrapped.quantize_config).__name__


found = {
    "Dense, ReLU layer": count((8,), L.Dense(16, name="first"), L.ReLU()),
    "Dense, Activation layer": count((8,), L.Dense(16, name="first"), L.Activation("relu")),
    "Conv2D, ReLU layer": count((8, 8, 3), L.Conv2D(4, 3, name="first"), L.ReLU()),
    'Dense with activation="relu"': count((8,), L.Dense(16, activation="relu", name="first")),
}
for name, (weights, config) in found.items():
    print(f"{name}: {weights} rounded weights ({config})")
sys.exit([weights for weights, _ in found.values()] != [0, 0, 0, 1])
PY
