#!/usr/bin/env bash
# keras 3.15.1: `model.trainable = True` unfreezes inner layers on JAX and torch, and does nothing on TensorFlow where the
# model's own flag is True already. TensorFlow's `AutoTrackable.__setattr__`, from which Keras layers inherit on this backend
# alone, skips an assignment of the object that the attribute has, so the setter that passes the flag on to inner layers never
# runs. The common recipe "freeze some layers, train, then `model.trainable = True` and compile again" thus trains the head
# only on TensorFlow and the whole model elsewhere. `model.trainable = False` before it helps on every backend.
#
# Expected output:
#   tensorflow: inner layer trainable False, trainable weights 2, after False and True 4
#   jax: inner layer trainable True, trainable weights 4, after False and True 4
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 tensorflow==2.21.0 jax==0.10.2
cd "$folder"
cat > unfreeze.py <<'PY'
import keras

model = keras.Sequential(
    [keras.Input((2,)), keras.layers.Dense(3), keras.layers.Dense(1)]
)
model.layers[0].trainable = False
model.trainable = True
inner, count = model.layers[0].trainable, len(model.trainable_weights)
model.trainable = False
model.trainable = True
print(
    f"{keras.backend.backend()}: inner layer trainable {inner}, trainable "
    f"weights {count}, after False and True {len(model.trainable_weights)}"
)
PY
for backend in tensorflow jax; do
  KERAS_BACKEND=$backend "$folder/venv/bin/python" unfreeze.py 2>/dev/null
done | tee seen
cat > expected <<'TXT'
tensorflow: inner layer trainable False, trainable weights 2, after False and True 4
jax: inner layer trainable True, trainable weights 4, after False and True 4
TXT
cmp -s seen expected
