#!/usr/bin/env bash
# keras 3.15.1: a Dense layer with LoRA never learns again after `load_weights`. `load_own_variables` sets both factors of the
# product to zero, the file holds their product merged into the kernel. A product of two zeros has a gradient of zero for both
# factors, so `fit` changes nothing in this layer, without a warning; only a bias or other layers that still train hide it.
# `enable_lora` itself draws one factor at random for that reason. `BackupAndRestore` loads weights in the same way, so an
# interrupted LoRA training that is resumed stands still.
#
# Expected output:
#   before loading: factors are zero False True, loss falls True
#   after loading: factors are zero True True, loss falls False, factors after training are zero True True
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 jax==0.10.2
cd "$folder"
cat > lora.py <<'PY'
import keras
import numpy as np


def build():
    keras.utils.set_random_seed(0)
    layer = keras.layers.Dense(1, use_bias=False)
    model = keras.Sequential([keras.Input((4,)), layer])
    layer.enable_lora(2)
    model.compile(keras.optimizers.SGD(0.05), "mse")
    return model, layer


def are_zero(layer):
    factors = (layer.lora_kernel_a, layer.lora_kernel_b)
    return " ".join(str(not np.any(np.array(f))) for f in factors)


def falls(model):
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=5, verbose=0)
    return model.evaluate(x, y, verbose=0) < 0.99 * before


x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
y = x.sum(axis=1, keepdims=True)
model, layer = build()
zero = are_zero(layer)
print(f"before loading: factors are zero {zero}, loss falls {falls(model)}")
model, layer = build()
model.save_weights("w.weights.h5")
model.load_weights("w.weights.h5")
zero = are_zero(layer)
print(
    f"after loading: factors are zero {zero}, loss falls {falls(model)}, "
    f"factors after training are zero {are_zero(layer)}"
)
PY
KERAS_BACKEND=jax "$folder/venv/bin/python" lora.py 2>/dev/null | tee seen
cat > expected <<'TXT'
before loading: factors are zero False True, loss falls True
after loading: factors are zero True True, loss falls False, factors after training are zero True True
TXT
cmp -s seen expected
