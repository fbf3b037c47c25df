#!/usr/bin/env bash
# KerasTuner 1.4.8 with Keras 3.15.1 (JAX 0.10.2): a trial that Hyperband promotes continues with the weights of its parent
# trial, but with a new optimizer. The parent's file holds the moments and the step count; they are skipped on load, with a
# warning, because the optimizer has no variables yet. A learning rate schedule therefore starts again at step 0.
#
# Expected output:
#   optimizer variables in the parent's weights file: 6
#   optimizer step of the parent at its best epoch: 2
#   optimizer step of the promoted trial before its first batch: 0
#   kernel equals the parent's: True
#   warning: Skipping variable loading for optimizer
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 keras-tuner==1.4.8 jax==0.10.2 jaxlib==0.10.2 h5py six tensorboard numpy
cd "$folder"
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PY'
import sys
import warnings

import h5py
import keras
import keras_tuner
import numpy as np

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
y = x[:, :1]
found = {}


def build(hp):
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(1, name="dense")]
    )
    rate = hp.Float("rate", 1e-3, 1e-2)
    model.compile(keras.optimizers.Adam(rate), "mse")
    return model


class Watched(keras_tuner.Hyperband):
    def _build_hypermodel(self, hp):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = super()._build_hypermodel(hp)
        parent = hp.values.get("tuner/trial_id")
        if parent and "parent" not in found:
            path = self._get_checkpoint_fname(parent)
            with h5py.File(path) as file:
                stored = file["optimizer/vars"]
                found["parent"] = len(stored)
                found["steps"] = int(np.asarray(stored["0"]))
                kernel = np.asarray(file["layers/dense/vars/0"])
            found["now"] = int(model.optimizer.iterations)
            mine = np.asarray(model.get_layer("dense").kernel)
            found["kernel"] = bool(np.array_equal(kernel, mine))
            found["warning"] = any(
                "Skipping variable loading for optimizer" in str(one.message)
                for one in caught
            )
        return model


tuner = Watched(
    build, "val_loss", max_epochs=4, factor=2, seed=0, directory="tuning"
)
tuner.search(x, y, validation_split=0.5, batch_size=16, verbose=0)
print("optimizer variables in the parent's weights file:", found["parent"])
print("optimizer step of the parent at its best epoch:", found["steps"])
print("optimizer step of the promoted trial before its first batch:", found["now"])
print("kernel equals the parent's:", found["kernel"])
if found["warning"]:
    print("warning: Skipping variable loading for optimizer")
same = found["now"] == 0 and found["steps"] > 0
sys.exit(0 if same and found["kernel"] and found["warning"] else 1)
PY
