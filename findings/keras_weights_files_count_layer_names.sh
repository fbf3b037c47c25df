#!/usr/bin/env bash
# Keras 3.15.1 (JAX 0.10.2): each `save_weights` and `load_weights` builds throw-away objects. `saving_lib` looks for its list of
# attributes to skip under the key "saving_attr_skiplist_..." and stores it under "saving_attr_skipset_...", so the cache never
# hits and a reference Layer (for a compiled model also a Metric and an Optimizer) is built per file. Two effects: small files
# take about twice the time, and the counter of automatic names advances, so that the name of the next unnamed `keras.Layer`
# depends on how many files were written before.
#
# Expected output (the milliseconds depend on the machine and are not checked):
#   lists of attributes built for 1, 2, 3 files: 2 4 6
#   name of a new layer before and after 3 files: layer layer_7
#   milliseconds per file: 1.7, with the cache 1.0
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 jax==0.10.2 jaxlib==0.10.2
cd "$folder"
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PY'
import functools
import sys
import time

import keras
from keras.src.saving import saving_lib

model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
plain, before = keras.layers.Layer.__init__, keras.layers.Layer().name
built = 0


def counted(self, *args, **kwargs):
    global built
    built += type(self) is keras.layers.Layer
    plain(self, *args, **kwargs)


def milliseconds(files=50):
    start = time.process_time()
    for _ in range(files):
        model.save_weights("a.weights.h5")
    return (time.process_time() - start) / files * 1e3


keras.layers.Layer.__init__ = counted
found = []
for _ in range(3):
    model.save_weights("a.weights.h5")
    found.append(built)
keras.layers.Layer.__init__ = plain
after = keras.layers.Layer().name
slow = milliseconds()
saving_lib.get_attr_skipset = functools.cache(saving_lib.get_attr_skipset)
milliseconds(1)
print("lists of attributes built for 1, 2, 3 files:", *found)
print("name of a new layer before and after 3 files:", before, after)
print(f"milliseconds per file: {slow:.1f}, with the cache {milliseconds():.1f}")
sys.exit(0 if found == [2, 4, 6] and (before, after) == ("layer", "layer_7") else 1)
PY
