#!/usr/bin/env bash
# keras 3.15.1 on torch 2.13.0: if two weights of a model have the same path, because layers inside two nested layers have the
# same name, training is wrong without a message. Keras keeps the parameters of a torch model in a dictionary by path, finds one
# of the two, and `zero_grad` before each step misses the other: its gradients add up from step to step. Equal names inside
# nested layers are legal and common: two layers that hold a Sequential made by one function with named layers, a model read from
# a file beside a new one. The same model trains as it should on TensorFlow and JAX, and on torch with other names.
#
# Expected output:
#   tensorflow: equal names train as different names True
#   jax: equal names train as different names True
#   torch: equal names train as different names False, parameters found 4 of 6
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 tensorflow==2.21.0 jax==0.10.2 torch==2.13.0
cd "$folder"
cat > paths.py <<'PY'
import keras
import numpy as np
from keras import layers


def branch(name):
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(3, name=name)(inputs))


def train(names):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    parts = [branch(name) for name in names]
    outputs = layers.Dense(1)(layers.Add()([part(inputs) for part in parts]))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.05), "mse")
    x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
    model.fit(x, x[:, :1], batch_size=8, epochs=3, shuffle=False, verbose=0)
    return model


equal, different = train(["h", "h"]), train(["h", "g"])
same = all(
    np.allclose(a, b, atol=1e-5)
    for a, b in zip(equal.get_weights(), different.get_weights(), strict=True)
)
backend = keras.backend.backend()
text = f"{backend}: equal names train as different names {same}"
if backend == "torch":
    found = {id(one) for one in equal.parameters()}
    held = sum(id(v.value) in found for v in equal.weights)
    text += f", parameters found {held} of {len(equal.weights)}"
print(text)
PY
export TF_CPP_MIN_LOG_LEVEL=3
for backend in tensorflow jax torch; do
    KERAS_BACKEND=$backend "$folder/venv/bin/python" paths.py 2>/dev/null
done | tee seen
cat > expected <<'TXT'
tensorflow: equal names train as different names True
jax: equal names train as different names True
torch: equal names train as different names False, parameters found 4 of 6
TXT
cmp -s seen expected
