#!/usr/bin/env bash
# keras 3.15.1 on tensorflow 2.21.0: with data of unknown length (a generator, a filtered tf.data.Dataset) the counter of the
# optimizer advances by one step too many in every epoch. The compiled step reads the next batch itself; where there is none,
# TensorFlow has already run the operations that do not need it, the increment of `iterations` among them, when the end of
# the data is reported. Learning rate schedules run ahead and Adam's correction of its averages is another one, so the same
# batches give other weights than the same data with a known number of batches.
#
# Expected output:
#   4 batches an epoch: known length [4, 8, 12], unknown length [5, 10, 15], weights equal False
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 tensorflow==2.21.0
cd "$folder"
cat > steps.py <<'PY'
import keras
import numpy as np
import tensorflow as tf


class Count(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(int(self.model.optimizer.iterations))


def train(is_known):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
    data = data.filter(lambda a, b: True)
    if is_known:
        data = data.apply(tf.data.experimental.assert_cardinality(4))
    count = Count()
    model.fit(data, epochs=3, verbose=0, callbacks=[count])
    return count.seen, model.get_weights()[0]


x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
y = x.sum(axis=1, keepdims=True)
known, unknown = train(True), train(False)
print(
    f"4 batches an epoch: known length {known[0]}, unknown length "
    f"{unknown[0]}, weights equal {np.allclose(known[1], unknown[1], atol=1e-4)}"
)
PY
KERAS_BACKEND=tensorflow "$folder/venv/bin/python" steps.py 2>/dev/null | tee seen
cat > expected <<'TXT'
4 batches an epoch: known length [4, 8, 12], unknown length [5, 10, 15], weights equal False
TXT
cmp -s seen expected
