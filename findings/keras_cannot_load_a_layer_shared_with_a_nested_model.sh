#!/usr/bin/env bash
# Keras 3.15.1: a layer that a nested Sequential and its outer model share is saved, but `load_model` of the same file raises
# "expected 2 variables, but received 0": the file holds the weights once, under the path of one owner, and the other owner
# is looked up first.
#
# Expected output:
#   predict works, save works, load_model: ValueError, expected 2 variables, but received 0
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 jax==0.10.2
cd "$folder"
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PY' 2>/dev/null
import sys

import keras
import numpy as np

shared = keras.layers.Dense(8)
inner = keras.Sequential([keras.Input((8,)), shared, keras.layers.Dense(8)])
a, b = keras.Input((8,)), keras.Input((8,))
joined = keras.layers.Concatenate()([inner(a), inner(b), shared(a)])
model = keras.Model([a, b], keras.layers.Dense(3)(joined))
x = np.ones((2, 8), "float32")
works = "works" if model.predict([x, x], verbose=0).shape == (2, 3) else "fails"
model.save("model.keras")
try:
    keras.saving.load_model("model.keras")
    error = "no error"
except ValueError as raised:
    text = str(raised)
    part = "expected 2 variables, but received 0"
    error = f"ValueError, {part}" if part in text else f"ValueError, {text[:200]}"
print(f"predict {works}, save works, load_model: {error}")
sys.exit(error != "ValueError, expected 2 variables, but received 0")
PY
