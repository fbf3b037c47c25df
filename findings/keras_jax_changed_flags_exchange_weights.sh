#!/usr/bin/env bash
# keras 3.15.1, JAX 0.10.2: after one layer was frozen and another one of equal shapes unfrozen without `compile`, `predict` and
# `evaluate` compute with their weights exchanged, without a message. The JAX trainer passes the weights to the compiled
# function as two lists, the trainable ones and the others, and keeps the function: the values arrive in the places that the
# layers had when it was compiled. `model(x)` is right, TensorFlow and torch are right, and a single change raises an error
# because the lists have other lengths. Remedy: `model.compile` after each change, or `model.predict_function = None`.
#
# Expected output:
#   predict equals model(x): before True, after the change False, after compile True
#   it equals a model whose two layers have exchanged weights: True
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 numpy==2.4.6 jax==0.10.2
cd "$folder"
cat > flags.py <<'PY'
import keras
import numpy as np

keras.utils.set_random_seed(0)
layers = keras.layers
model = keras.Sequential(
    [
        keras.Input((4,)),
        layers.Dense(4, "tanh", name="a"),
        layers.Dense(4, "tanh", name="b"),
    ]
)
a, b = model.layers
a.trainable = False
model.compile("sgd", "mse")
x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")


def is_right():
    return np.allclose(model.predict(x, verbose=0), model(x), atol=1e-6)


first = is_right()
a.trainable, b.trainable = True, False
second, seen = is_right(), model.predict(x, verbose=0)
model.compile("sgd", "mse")
third = is_right()
one, other = a.get_weights(), b.get_weights()
a.set_weights(other)
b.set_weights(one)
print(
    f"predict equals model(x): before {first}, after the change {second}, "
    f"after compile {third}"
)
print(
    "it equals a model whose two layers have exchanged weights: "
    f"{np.allclose(seen, model(x), atol=1e-6)}"
)
PY
KERAS_BACKEND=jax "$folder/venv/bin/python" flags.py 2>/dev/null | tee seen
cat > expected <<'TXT'
predict equals model(x): before True, after the change False, after compile True
it equals a model whose two layers have exchanged weights: True
TXT
cmp -s seen expected
