#!/usr/bin/env bash
# keras 3.15.1 with jax 0.10.2: `variable.assign(other_variable)` copies on TensorFlow and torch, and shares one array on JAX.
# `fit` donates the arrays of its model to the compiled step, so the other model loses its weights: after "copy the weights of
# a teacher, train the teacher on", `predict` of the copy raises RuntimeError "Array has been deleted", and its weights cannot
# be saved any more. Nothing warns when the copy is made. `set_weights(get_weights())` and `assign(numpy_array)` are safe.
#
# Expected output:
#   tensorflow: assign(variable) (8, 1); set_weights (8, 1)
#   jax: assign(variable) RuntimeError: Array has been deleted; set_weights (8, 1)
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 tensorflow==2.21.0 jax==0.10.2
cd "$folder"
cat > share.py <<'PY'
import keras
import numpy as np
from keras import layers

x, y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")


def build():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def attempt(copy):
    source, target = build(), build()
    source.fit(x, y, verbose=0)
    copy(source, target)
    source.fit(x, y, verbose=0)
    try:
        return str(target.predict(x, verbose=0).shape)
    except RuntimeError as error:
        found = "Array has been deleted" in str(error)
        return "RuntimeError: Array has been deleted" if found else repr(error)


def assign(source, target):
    for new, old in zip(target.weights, source.weights, strict=True):
        new.assign(old)


one = attempt(assign)
other = attempt(lambda source, target: target.set_weights(source.get_weights()))
print(f"{keras.backend.backend()}: assign(variable) {one}; set_weights {other}")
PY
export TF_CPP_MIN_LOG_LEVEL=3
for backend in tensorflow jax; do
    KERAS_BACKEND=$backend "$folder/venv/bin/python" share.py 2>/dev/null
done | tee seen
cat > expected <<'TXT'
tensorflow: assign(variable) (8, 1); set_weights (8, 1)
jax: assign(variable) RuntimeError: Array has been deleted; set_weights (8, 1)
TXT
cmp -s seen expected
