#!/usr/bin/env bash
# keras 3.15.1 with tensorflow 2.21.0: `keras.ops.convert_to_numpy(variable)` holds two copies of the value at its peak, beside the
# variable itself: `np.array` gets a copy from the variable's `__array__` and copies it again. Of a tensor it makes one, and so do
# `variable.value.numpy()` and `get_weights`; `np.asarray` of a tensor makes none. For a kernel of 1 GB that is 2 GB on the host.
#
# Expected output:
#   convert_to_numpy of a variable: 2.0
#   convert_to_numpy of a tensor: 1.0
#   numpy() of its value: 1.0
#   np.asarray of a tensor: 0.0
#   get_weights of a layer: 1.0
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q tensorflow==2.21.0 keras==3.15.1 numpy==2.4.6
cd "$folder"
cat > copies.py <<'PY'
import tracemalloc

import keras
import numpy as np
import tensorflow as tf
from keras import ops

SHAPE = (1000, 5000)
BYTES = 4 * SHAPE[0] * SHAPE[1]


def arrays(function):
    """How many arrays of the size of the value are in memory at most."""
    tracemalloc.start()
    kept = function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return round(peak / BYTES, 1), kept


variable = keras.Variable(np.ones(SHAPE, "float32"))
tensor = variable.value.read_value()
print("convert_to_numpy of a variable:", arrays(lambda: ops.convert_to_numpy(variable))[0])
print("convert_to_numpy of a tensor:", arrays(lambda: ops.convert_to_numpy(tensor))[0])
print("numpy() of its value:", arrays(lambda: variable.value.numpy())[0])
print("np.asarray of a tensor:", arrays(lambda: np.asarray(tensor))[0])
print("get_weights of a layer:", end=" ")
layer = keras.layers.Dense(SHAPE[1], use_bias=False)
layer.build((None, SHAPE[0]))
print(arrays(layer.get_weights)[0])
PY
export KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3
"$folder/venv/bin/python" copies.py 2>/dev/null | tee seen
cat > expected <<'TXT'
convert_to_numpy of a variable: 2.0
convert_to_numpy of a tensor: 1.0
numpy() of its value: 1.0
np.asarray of a tensor: 0.0
get_weights of a layer: 1.0
TXT
cmp -s seen expected
