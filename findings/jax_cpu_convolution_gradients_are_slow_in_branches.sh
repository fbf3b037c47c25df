#!/usr/bin/env bash
# jax 0.10.2 on a CPU: the gradient of a convolution for its kernel takes about a hundred times as long inside `lax.cond`
# (or `lax.switch`) as outside, although the branch computes the same. With the operands transposed by hand so that the
# gradient is a plain NHWC/HWIO convolution, the branch is as fast as the code outside.
#
# Expected output (the times depend on the machine; that the branch takes more than 8 times as long is checked, and that the
# transposed form takes less than a third of the branch):
#   outside 0.9 ms, in a branch 87 ms, in a branch and transposed by hand 1.0 ms
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q jax==0.10.2 numpy
cd "$folder"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PY'
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

FORM = ("NHWC", "HWIO", "NHWC")
rng = np.random.default_rng(0)
x = jnp.asarray(rng.normal(size=(64, 14, 14, 16)), jnp.float32)
dy = jnp.asarray(rng.normal(size=(64, 14, 14, 16)), jnp.float32)
w = jnp.zeros((5, 5, 16, 16), jnp.float32)


def convolve(x, w):
    return lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=FORM)


def gradient(x, dy):
    return jax.vjp(lambda w: convolve(x, w), w)[1](dy)[0]


def transposed(x, dy):
    images = jnp.transpose(x, (3, 1, 2, 0))  # Channels as the batch.
    kernel = jnp.transpose(dy, (1, 2, 0, 3))  # Samples as the channels.
    found = lax.conv_general_dilated(
        images, kernel, (1, 1), [(2, 2), (2, 2)], dimension_numbers=FORM
    )
    return jnp.transpose(found, (1, 2, 0, 3))


def milliseconds(function, *arguments):
    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(10):
        begin = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - begin)
    return 1e3 * min(times)


def in_branch(compute):
    return jax.jit(lambda i, x, dy: lax.cond(i == 0, lambda: compute(x, dy), lambda: w))


np.testing.assert_allclose(gradient(x, dy), transposed(x, dy), rtol=1e-3, atol=1e-2)
outside = milliseconds(jax.jit(gradient), x, dy)
inside = milliseconds(in_branch(gradient), 0, x, dy)
by_hand = milliseconds(in_branch(transposed), 0, x, dy)
print(
    f"outside {outside:.1f} ms, in a branch {inside:.0f} ms, "
    f"in a branch and transposed by hand {by_hand:.1f} ms"
)
sys.exit(not (inside > 8 * outside and by_hand < inside / 3))
PY
