#!/usr/bin/env bash
# Keras 3.15.1 with TensorFlow 2.21.0: `keras.ops.add(x, b)` returns wrong sums, without an error, where b has the shape
# (n, 1) and the last axis of x has n entries as well. NumPy adds b[i] to row i; the TensorFlow backend takes b for a bias
# and adds b[j] to column j. The sum is right where the last axis of x has another size, for `x + b` on the same tensors,
# and on JAX and torch. `EinsumDense("abc,bd->adc", bias_axes="d")` adds such a bias, so its outputs are wrong where the sizes meet.
#
# Expected output:
#   tensorflow x (2, 3, 3) + b (3, 1): largest error 2.0
#   tensorflow x (2, 3, 4) + b (3, 1): largest error 0.0
#   tensorflow EinsumDense, last axis 3: largest error 2.0
#   tensorflow EinsumDense, last axis 4: largest error 0.0
#   jax x (2, 3, 3) + b (3, 1): largest error 0.0
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 tensorflow==2.21.0 jax==0.10.2
cd "$folder"
cat > add.py <<'PY'
import sys

import keras
import numpy as np

backend = keras.backend.backend()
bias = np.arange(3.0, dtype="float32").reshape(3, 1)
found = []


def show(text, got, expected):
    error = float(np.abs(np.array(got) - expected).max())
    found.append(error)
    print(f"{backend} {text}: largest error {error}")


for last in (3, 4) if backend == "tensorflow" else (3,):
    x = np.zeros((2, 3, last), "float32")
    show(f"x (2, 3, {last}) + b (3, 1)", keras.ops.add(x, bias), x + bias)
if backend == "tensorflow":
    for last in (3, 4):
        layer = keras.layers.EinsumDense(
            "abc,bd->adc", output_shape=(3, last), bias_axes="d", kernel_initializer="zeros"
        )
        layer.build((2, 5, last))
        layer.bias.assign(bias)
        x = np.zeros((2, 5, last), "float32")
        expected = np.zeros((2, 3, last)) + bias
        show(f"EinsumDense, last axis {last}", layer(x), expected)
wrong = [2.0, 0.0, 2.0, 0.0] if backend == "tensorflow" else [0.0]
sys.exit(found != wrong)
PY
for backend in tensorflow jax; do
  KERAS_BACKEND=$backend TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" add.py 2>/dev/null
done
