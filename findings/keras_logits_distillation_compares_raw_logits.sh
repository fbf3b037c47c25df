#!/usr/bin/env bash
# Keras 3.15.1: `keras.distillation.LogitsDistillation()` turns its default loss "kl_divergence" into a function. The branch
# that takes softmax of the logits is for instances of `keras.losses.KLDivergence` only, so that the default computes the
# divergence of raw logits clipped to [epsilon, 1]. It is 0 for two opposite predictions if all logits are negative.
#
# Expected output:
#   divergence of softmax at temperature 3 times 9: 2.9
#   LogitsDistillation(loss=KLDivergence()): 2.9, LogitsDistillation(): 10.5
#   opposite predictions, all logits negative: right 54.1, LogitsDistillation() 0.0
#
# Exits 0 while the default is wrong, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 jax numpy
cd "$folder"
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PY'
import sys

import keras
import numpy as np

T = 3.0


def right(teacher, student):
    def softmax(z):
        e = np.exp(z / T - (z / T).max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    p, q = softmax(teacher), softmax(student)
    return T**2 * float((p * np.log(p / q)).sum(-1).mean())


default = keras.distillation.LogitsDistillation(temperature=T)
explicit = keras.distillation.LogitsDistillation(
    temperature=T, loss=keras.losses.KLDivergence()
)
teacher = np.array([[2.0, -1.0, 0.5]], "float32")
student = np.array([[-1.0, 2.0, 0.5]], "float32")
true = right(teacher, student)
one, other = (
    float(loss.compute_loss(teacher, student)) for loss in (explicit, default)
)
print(f"divergence of softmax at temperature 3 times 9: {true:.1f}")
print(
    f"LogitsDistillation(loss=KLDivergence()): {one:.1f}, "
    f"LogitsDistillation(): {other:.1f}"
)
a = np.array([[-1.0, -10.0, -20.0]], "float32")
b = a[:, ::-1].copy()
zero = float(default.compute_loss(a, b))
print(
    "opposite predictions, all logits negative: "
    f"right {right(a, b):.1f}, LogitsDistillation() {zero:.1f}"
)
sys.exit(not (abs(one - true) < 1e-3 and abs(other - true) > 1 and zero == 0))
PY
