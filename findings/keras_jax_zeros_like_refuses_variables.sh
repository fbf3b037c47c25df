#!/usr/bin/env bash
# keras 3.15.1 with jax 0.10.2: `keras.ops.zeros_like`, `ones_like` and `full_like` of a `keras.Variable`, such as a weight
# of a layer, raise ValueError on JAX; `keras.ops.where` with variables does too. On TensorFlow and torch all of them work.
# Other ops of a variable (`abs`, `sum`, `reshape`, `matmul`) work on JAX as well, so that code which was tested on one
# backend breaks on another. `variable.value` in the place of the variable works everywhere.
#
# Expected output:
#   tensorflow: zeros_like ok, ones_like ok, full_like ok, where ok, abs ok, zeros_like(value) ok
#   jax: zeros_like ValueError, ones_like ValueError, full_like ValueError, where ValueError, abs ok, zeros_like(value) ok
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 tensorflow==2.21.0 jax==0.10.2
cd "$folder"
cat > like.py <<'PY'
import keras
from keras import ops

kernel = keras.Variable([[1.0, 2.0]])


def attempt(name, call):
    try:
        call()
        return f"{name} ok"
    except ValueError:
        return f"{name} ValueError"


found = [
    attempt("zeros_like", lambda: ops.zeros_like(kernel)),
    attempt("ones_like", lambda: ops.ones_like(kernel)),
    attempt("full_like", lambda: ops.full_like(kernel, 3.0)),
    attempt("where", lambda: ops.where(kernel > 1, kernel, kernel)),
    attempt("abs", lambda: ops.abs(kernel)),
    attempt("zeros_like(value)", lambda: ops.zeros_like(kernel.value)),
]
print(f"{keras.backend.backend()}: {', '.join(found)}")
PY
export TF_CPP_MIN_LOG_LEVEL=3
for backend in tensorflow jax; do
    KERAS_BACKEND=$backend "$folder/venv/bin/python" like.py 2>/dev/null
done | tee seen
cat > expected <<'TXT'
tensorflow: zeros_like ok, ones_like ok, full_like ok, where ok, abs ok, zeros_like(value) ok
jax: zeros_like ValueError, ones_like ValueError, full_like ValueError, where ValueError, abs ok, zeros_like(value) ok
TXT
cmp -s seen expected
