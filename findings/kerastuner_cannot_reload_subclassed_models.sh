#!/usr/bin/env bash
# KerasTuner 1.4.8 with Keras 3.15.1 (JAX 0.10.2): `get_best_models` fails for a subclassed model, although the search has
# saved its weights and its build config. `build_from_config` creates all layers' weights, but leaves `built` of the model
# False, and `load_weights` refuses a model that is not built.
#
# Expected output:
#   trials: ['COMPLETED']
#   build config: {'input_shape': [32, 4]}
#   after build_from_config: layers built [True, True], model built False
#   get_best_models: ValueError: You are loading weights into a model that has not yet been built.
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 keras-tuner==1.4.8 jax==0.10.2 jaxlib==0.10.2 h5py six numpy
cd "$folder"
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PY'
import json
import pathlib
import sys
import warnings

import keras
import keras_tuner
import numpy as np

warnings.simplefilter("ignore")
x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
y = x[:, :1]


class Net(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.first = keras.layers.Dense(units, activation="relu")
        self.last = keras.layers.Dense(1)

    def call(self, inputs):
        return self.last(self.first(inputs))


def build(hp):
    model = Net(hp.Int("units", 4, 8))
    model.compile("sgd", "mse")
    return model


tuner = keras_tuner.RandomSearch(
    build, "val_loss", max_trials=1, directory="runs", project_name="p"
)
tuner.search(x, y, validation_split=0.5, epochs=1, verbose=0)
trials = [trial.status for trial in tuner.oracle.trials.values()]
print("trials:", trials)
[path] = pathlib.Path("runs/p").glob("trial_*/build_config.json")
config = json.loads(path.read_text())
print("build config:", config)

model = Net(4)
model.build_from_config(config)
layers = [layer.built for layer in (model.first, model.last)]
print(f"after build_from_config: layers built {layers}, model built {model.built}")

try:
    tuner.get_best_models()
    error = "none"
except ValueError as raised:
    error = f"ValueError: {str(raised).split(' Try ')[0]}"
print("get_best_models:", error)
same = (
    trials == ["COMPLETED"]
    and layers == [True, True]
    and not model.built
    and "has not yet been built" in error
)
sys.exit(0 if same else 1)
PY
