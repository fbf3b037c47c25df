#!/usr/bin/env bash
# Keras 3.15.1 with TensorFlow 2.21.0: the first batch of `fit` traces the whole training step twice. `compile` leaves the
# optimizer unbuilt, so its slot variables are created inside the `tf.function`; TensorFlow traces a function that creates
# variables once to collect them and once more for the graph that runs. One line before `fit`,
# `model.optimizer.build(model.trainable_variables)`, halves the time to the first batch. SGD without momentum has no slot
# variables and is traced once. Losses are equal to the last bit either way.
#
# Expected output (the seconds depend on the machine and are not checked):
#   Adam, unbuilt: 2 traces of the step
#   Adam, built:   1 trace of the step
#   SGD, unbuilt:  1 trace of the step
#   equal losses: True
#   MobileNetV2, Adam, first batch, CPU seconds: 13.6 unbuilt, 7.1 built
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 tensorflow==2.21.0
cd "$folder"
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2>/dev/null
import sys
import time

import keras
import numpy as np

rng = np.random.default_rng(0)
x = rng.normal(size=(32, 8)).astype("float32")
y = rng.integers(0, 3, 32)


class Counted(keras.Sequential):
    traces = 0

    def train_step(self, data):
        self.traces += 1
        return super().train_step(data)


def train(optimizer, build):
    keras.utils.set_random_seed(0)
    model = Counted([keras.Input((8,)), keras.layers.Dense(4), keras.layers.Dense(3)])
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    if build:
        model.optimizer.build(model.trainable_variables)
    losses = model.fit(x, y, batch_size=8, epochs=2, verbose=0).history["loss"]
    return model.traces, losses


def first_batch(build):
    model = keras.applications.MobileNetV2(
        (96, 96, 3), alpha=0.35, weights=None, classes=3
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    if build:
        model.optimizer.build(model.trainable_variables)
    images = np.zeros((2, 96, 96, 3), "float32")
    start = time.process_time()
    model.fit(images, np.zeros(2, "int32"), verbose=0)
    return time.process_time() - start


unbuilt, losses = train("adam", False)
built, built_losses = train("adam", True)
sgd, _ = train("sgd", False)
print(f"Adam, unbuilt: {unbuilt} traces of the step")
print(f"Adam, built:   {built} trace of the step")
print(f"SGD, unbuilt:  {sgd} trace of the step")
print("equal losses:", losses == built_losses)
slow, fast = first_batch(False), first_batch(True)
print(
    "MobileNetV2, Adam, first batch, CPU seconds:"
    f" {slow:.1f} unbuilt, {fast:.1f} built"
)
same = (unbuilt, built, sgd) == (2, 1, 1) and losses == built_losses
sys.exit(0 if same else 1)
PY
