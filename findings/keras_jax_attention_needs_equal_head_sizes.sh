#!/usr/bin/env bash
# keras 3.15.1 with jax 0.10.2: `MultiHeadAttention` whose `value_dim` differs from `key_dim` runs on TensorFlow and fails
# on JAX, with and without a mask. A Functional model with it is built without an error on JAX and saved; the first batch
# fails with a reshape error in `call`. The head size of the values is an argument of the layer, and pruning of value
# channels changes it.
#
# Expected output:
#   tensorflow: key_dim 4, value_dim 4 -> (2, 5, 8); key_dim 4, value_dim 6 -> (2, 5, 8)
#   jax: key_dim 4, value_dim 4 -> (2, 5, 8); key_dim 4, value_dim 6 -> TypeError: cannot reshape array
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 tensorflow==2.21.0 jax==0.10.2
cd "$folder"
cat > attend.py <<'PY'
import keras
import numpy as np

x = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")


def attend(value_dim):
    inputs = keras.Input((5, 8))
    layer = keras.layers.MultiHeadAttention(2, key_dim=4, value_dim=value_dim)
    model = keras.Model(inputs, layer(inputs, inputs))  # No error here.
    try:
        return str(tuple(model(x).shape))
    except TypeError as error:
        found = "cannot reshape array" in str(error)
        return "TypeError: cannot reshape array" if found else repr(error)


equal, wider = attend(4), attend(6)
backend = keras.backend.backend()
print(f"{backend}: key_dim 4, value_dim 4 -> {equal}; key_dim 4, value_dim 6 -> {wider}")
PY
export TF_CPP_MIN_LOG_LEVEL=3
for backend in tensorflow jax; do
    KERAS_BACKEND=$backend "$folder/venv/bin/python" attend.py 2>/dev/null
done | tee seen
cat > expected <<'TXT'
tensorflow: key_dim 4, value_dim 4 -> (2, 5, 8); key_dim 4, value_dim 6 -> (2, 5, 8)
jax: key_dim 4, value_dim 4 -> (2, 5, 8); key_dim 4, value_dim 6 -> TypeError: cannot reshape array
TXT
cmp -s seen expected
