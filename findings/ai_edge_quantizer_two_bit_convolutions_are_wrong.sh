#!/usr/bin/env bash
# ai-edge-quantizer 0.10.0: the recipe `dynamic_wi2c_afp32` writes files with 2-bit kernels of CONV_2D that ai-edge-litert
# 2.3.0 runs without an error and with wrong outputs; a Dense layer is right. The kernels here are already on the grid of
# three values per channel, so 2 bits lose nothing; only the 8-bit activations may differ.
#
# Expected output (the figures depend on the machine; Dense below 0.1 and Conv2D above 0.5 or NaN are checked):
#   Dense: largest difference 0.002 of the largest output
#   Conv2D: largest difference nan of the largest output
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q ai-edge-quantizer==0.10.0 immutabledict ai-edge-litert==2.3.0 keras==3.15.1 tensorflow==2.21.0
cd "$folder"
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2>/dev/null
import sys

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe

rng = np.random.default_rng(0)


def gap(layer, shape):
    model = keras.Sequential([keras.Input(shape, batch_size=1), layer])
    kernel = rng.integers(-1, 2, layer.kernel.shape).astype("float32")
    layer.kernel.assign(kernel * 0.125)
    model.export("float.tflite", format="litert", verbose=False)
    job = quantizer.Quantizer("float.tflite")
    job.load_quantization_recipe(recipe.dynamic_wi2c_afp32())
    content = bytes(job.quantize().quantized_model)
    run = Interpreter(model_content=content).get_signature_runner("serving_default")
    x = rng.normal(size=(1, *shape)).astype("float32")
    (name,) = run.get_input_details()
    found = next(iter(run(**{name: x}).values()))
    expected = model.predict(x, verbose=0)
    return float(np.abs(found - expected).max() / np.abs(expected).max())


dense = gap(keras.layers.Dense(16), (64,))
conv = gap(keras.layers.Conv2D(16, 3), (8, 8, 16))
print(f"Dense: largest difference {dense:.1g} of the largest output")
print(f"Conv2D: largest difference {conv:.1g} of the largest output")
sys.exit(not (dense < 0.1 and not conv < 0.5))
PY
