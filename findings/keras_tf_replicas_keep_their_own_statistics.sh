#!/usr/bin/env bash
# Keras 3.15.1 on TensorFlow 2.21.0: under `tf.distribute.MirroredStrategy` each replica keeps moving statistics of
# `BatchNormalization` of its own (the variable has `aggregation="none"`), and `evaluate`, `get_weights` and saved files read
# those of the first replica. Two replicas with different halves of a batch: the mean that is saved is that of one half.
#
# Expected output:
#   batch: mean 3.5, replicas: [1.5, 5.5], saved: 1.5
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 numpy==2.4.6 tensorflow==2.21.0
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2>/dev/null
import sys

import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
one = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [one, one])
import keras
import numpy as np

x = np.arange(8, dtype="float32")[:, None]
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    norm = keras.layers.BatchNormalization(momentum=0.0)
    model = keras.Sequential([keras.Input((1,)), norm])
    model.compile("sgd", "mse")
model.fit(x, x, batch_size=8, shuffle=False, verbose=0)
replicas = [round(float(v.numpy()[0]), 3) for v in norm.moving_mean.value.values]
saved = round(float(model.get_weights()[2][0]), 3)
print(f"batch: mean {x.mean()}, replicas: {replicas}, saved: {saved}")
sys.exit(not (replicas == [1.5, 5.5] and saved == 1.5))
PY
