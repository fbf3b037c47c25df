#!/usr/bin/env bash
# tensorflow 2.21.0, CPU: after one sliced assignment (`variable[:1].assign`) or scatter update, every later read of the whole
# variable copies it, for the life of the variable; assigning the whole value does not end this. A read is otherwise free: the
# tensor shares the memory of the variable. It matters where a few rows of a large kernel are written once (to grow, prune or
# repair it): each training step and each prediction then copies the kernel, and a product of it with one vector takes more than
# 1.5 times as long.
#
# Expected output:
#   never assigned: a read copies the variable: False
#   after assign: a read copies the variable: False
#   after a sliced assign: a read copies the variable: True
#   after scatter_nd_update: a read copies the variable: True
#   after a sliced assign and a whole one: a read copies the variable: True
#   product after a sliced assign / before it: above 1.5
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q tensorflow==2.21.0 numpy==2.4.6
cd "$folder"
cat > reads.py <<'PY'
import time

import numpy as np
import tensorflow as tf

SIZE = 4096
vector = tf.ones((SIZE, 1))


def make():
    return tf.Variable(tf.zeros((SIZE, SIZE)))


def is_copied(variable):
    """Whether two reads of a variable give two arrays."""
    reads = [np.asarray(tf.convert_to_tensor(variable)) for _ in range(2)]
    return not np.shares_memory(*reads)


def seconds(variable):
    """The least time of a product with the variable, of 15."""
    product = tf.function(lambda: tf.matmul(variable, vector))
    product()
    found = []
    for _ in range(15):
        begun = time.perf_counter()
        product()
        found.append(time.perf_counter() - begun)
    return min(found)


row = tf.ones((1, SIZE))
plain, whole, sliced, scattered, again = (make() for _ in range(5))
whole.assign(tf.ones((SIZE, SIZE)))
sliced[:1].assign(row)
scattered.scatter_nd_update([[0]], row)
again[:1].assign(row)
again.assign(tf.ones((SIZE, SIZE)))
cases = {
    "never assigned": plain,
    "after assign": whole,
    "after a sliced assign": sliced,
    "after scatter_nd_update": scattered,
    "after a sliced assign and a whole one": again,
}
for name, variable in cases.items():
    print(f"{name}: a read copies the variable: {is_copied(variable)}")
ratio = seconds(sliced) / seconds(plain)
print("product after a sliced assign / before it: " + ("above 1.5" if ratio > 1.5 else f"{ratio:.2f}"))
PY
export KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3
"$folder/venv/bin/python" reads.py 2>/dev/null | tee seen
cat > expected <<'TXT'
never assigned: a read copies the variable: False
after assign: a read copies the variable: False
after a sliced assign: a read copies the variable: True
after scatter_nd_update: a read copies the variable: True
after a sliced assign and a whole one: a read copies the variable: True
product after a sliced assign / before it: above 1.5
TXT
cmp -s seen expected
