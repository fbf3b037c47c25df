#!/usr/bin/env bash
# Keras 3.15.1: `sample_weight` of shape (samples,) weighs time steps instead of samples, without an error, where the loss has
# one value per step and a batch has as many samples as steps, such as token losses with batch size 32 and sequences of 32.
# The loss multiplies values of shape (samples, steps) by weights of shape (samples,), so NumPy's rules put the weights
# on the last axis. Other batches raise an error, so that a script works or fails by its batch size. The code is that of
# all backends; weights of shape (samples, 1) are right.
#
# Expected output on JAX:
#   4 samples of 4 steps, weights [4 0 0 0]: loss 2.5, of the first sample 1.0
#   4 samples of 4 steps, weights as a column: loss 1.0, of the first sample 1.0
#   4 samples of 5 steps, weights [4 0 0 0]: raises
#   mean change by training with weight 0: 0.1
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 jax==0.10.2
cd "$folder"
cat > weights.py <<'PY'
import sys

import keras
import numpy as np


@keras.saving.register_keras_serializable()
def per_step(y, y_pred):
    return keras.ops.abs(y - y_pred)[..., 0]


def build():
    model = keras.Sequential([keras.Input((None, 1)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.1), per_step)
    return model


def data(steps):
    # The loss of sample i is i + 1 at each of its steps.
    x = np.ones((4, steps, 1), "float32")
    return x, x + np.arange(1.0, 5.0, dtype="float32")[:, None, None]


weights = np.array([4.0, 0.0, 0.0, 0.0], "float32")
x, y = data(4)
wrong = build().evaluate(x, y, sample_weight=weights, batch_size=4, verbose=0)
right = build().evaluate(x, y, sample_weight=weights[:, None], batch_size=4, verbose=0)
print(f"4 samples of 4 steps, weights [4 0 0 0]: loss {wrong}, of the first sample 1.0")
print(f"4 samples of 4 steps, weights as a column: loss {right}, of the first sample 1.0")
try:
    longer, targets = data(5)
    build().evaluate(longer, targets, sample_weight=weights, batch_size=4, verbose=0)
    raised = False
except Exception:
    raised = True
print(f"4 samples of 5 steps, weights [4 0 0 0]: {'raises' if raised else 'no error'}")
# The first sample has no error, the only one with a weight: nothing is to be learned.
model = build()
y[0] = x[0]
model.fit(x, y, sample_weight=weights, batch_size=4, verbose=0)
change = round(float(np.abs(model.get_weights()[0] - 1.0).mean()), 2)
print(f"mean change by training with weight 0: {change}")
sys.exit((wrong, right, raised, change > 0) != (2.5, 1.0, True, True))
PY
KERAS_BACKEND=jax "$folder/venv/bin/python" weights.py 2>/dev/null
