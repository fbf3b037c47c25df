#!/usr/bin/env bash
# Keras 3.15.1 and TensorFlow 2.21.0: a Dense layer with relu that `model.quantize("int4")` has quantized in blocks loses its
# relu in the LiteRT file if its bias is all zeros, which it is in a new layer. Nothing warns; the file returns negative
# values where the model returns 0. With a bias that is not zero the file equals the model.
#
# Expected output (the first figure depends on the machine; that it is above 0.1 is checked):
#   zero bias: smallest output of the model 0, of the file -3; other bias: largest difference 4e-07
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 tensorflow==2.21.0 ai-edge-litert==2.3.0
cd "$folder"
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2>/dev/null
import sys

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter

x = np.random.default_rng(0).normal(size=(16, 64)).astype("float32")


def outputs(bias):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(128, "relu")])
    model.layers[0].bias.assign(np.full(128, bias, "float32"))
    model.quantize("int4")
    model.export("model.tflite", format="litert", verbose=False)
    run = Interpreter("model.tflite").get_signature_runner("serving_default")
    (name,) = run.get_input_details()
    return model.predict(x, verbose=0), next(iter(run(**{name: x}).values()))


model, file = outputs(0.0)
low, file_low = float(model.min()), float(file.min())
other = float(np.abs(np.subtract(*outputs(0.01))).max())
print(
    f"zero bias: smallest output of the model {low:.0f}, of the file {file_low:.1g}; "
    f"other bias: largest difference {other:.0e}"
)
sys.exit(not (low == 0 and file_low < -0.1 and other < 1e-4))
PY
