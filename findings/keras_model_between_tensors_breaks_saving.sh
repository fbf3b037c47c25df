#!/usr/bin/env bash
# keras 3.15.1: making a model between tensors of another model's graph can make that other model impossible to save. If
# the new model's inputs are an `Input` of the old one and a hidden tensor, `keras.Model([inputs, hidden], outputs)` gives
# the shared `Input` a second node, and `save`, `get_config` and `clone_model` of the first model raise RuntimeError
# "could not find node key" from then on. Training and inference go on as usual, so that a model trained for hours is lost
# at the end. The models share no other object, and no error or warning is given when the new model is made. A `Function`
# between the same tensors does no harm.
#
# Expected output:
#   before: saved
#   after Function([inputs, hidden], outputs): saved
#   after Model(hidden, outputs): saved
#   after Model([inputs, hidden], outputs): RuntimeError: Internal error: could not find node key
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 jax==0.10.2
cd "$folder"
cat > share.py <<'PY'
import keras
from keras import layers

inputs = keras.Input((3,))
hidden = layers.Dense(4)(inputs)
outputs = layers.Add()([hidden, layers.Dense(4)(inputs)])
model = keras.Model(inputs, outputs)


def save(when):
    try:
        model.save("model.keras")
        print(f"{when}: saved")
    except RuntimeError as error:
        text = str(error).rpartition(" ")[0]
        print(f"{when}: RuntimeError: {text}")


save("before")
keras.Function([inputs, hidden], outputs)
save("after Function([inputs, hidden], outputs)")
keras.Model(hidden, layers.Dense(2)(hidden))
save("after Model(hidden, outputs)")
keras.Model([inputs, hidden], outputs)
save("after Model([inputs, hidden], outputs)")
PY
KERAS_BACKEND=jax "$folder/venv/bin/python" share.py 2>/dev/null | tee seen
cat > expected <<'TXT'
before: saved
after Function([inputs, hidden], outputs): saved
after Model(hidden, outputs): saved
after Model([inputs, hidden], outputs): RuntimeError: Internal error: could not find node key
TXT
cmp -s seen expected
