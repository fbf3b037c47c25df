#!/usr/bin/env bash
# Keras 3.15.1 (JAX 0.10.2): `BackupAndRestore` sets the model's first epoch when it restores a backup and nothing clears it. Every
# later `fit` of the same model, without the callback too, starts at that epoch: a script that trains, resumes and then
# fine-tunes in a second `fit` of 2 epochs trains nothing, without a warning. The same script without an interruption trains
# all epochs. Remedy in a script: `model._initial_epoch = None` after the resumed `fit`.
#
# Expected output:
#   interrupted in epoch 3; the resumed fit of 5 epochs ran: [3, 4]
#   later fit of 2 epochs ran: []
#   later fit of 6 epochs ran: [3, 4, 5]
#   weights changed by the fit of 2 epochs: False
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 jax==0.10.2 jaxlib==0.10.2
cd "$folder"
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PY'
import sys

import keras
import numpy as np

x, y = np.ones((8, 2), "float32"), np.ones((8, 1), "float32")


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 3:
            raise KeyboardInterrupt


def build():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def fit(model, epochs, *callbacks):
    return model.fit(x, y, epochs=epochs, verbose=0, callbacks=list(callbacks)).epoch


try:
    fit(build(), 5, keras.callbacks.BackupAndRestore("backup"), Interrupt())
except KeyboardInterrupt:
    pass
model = build()
resumed = fit(model, 5, keras.callbacks.BackupAndRestore("backup"))
before = model.get_weights()
short = fit(model, 2)
changed = not all(map(np.array_equal, before, model.get_weights()))
long = fit(model, 6)
print("interrupted in epoch 3; the resumed fit of 5 epochs ran:", resumed)
print("later fit of 2 epochs ran:", short)
print("later fit of 6 epochs ran:", long)
print("weights changed by the fit of 2 epochs:", changed)
same = (resumed, short, long) == ([3, 4], [], [3, 4, 5]) and not changed
sys.exit(0 if same else 1)
PY
