#!/usr/bin/env bash
# h5py 3.14.0 (HDF5 1.14.6) with Keras 3.15.1: `save_weights` to a disk without room raises OSError, but the file stays open in
# HDF5, which cannot write what it still holds. When its objects are freed the process dies of a segmentation fault, although
# the error was caught: `try: model.save_weights(path) except OSError: ...` does not save a training from a full disk.
# A small file system (tmpfs) and a limit on the size of files give the same; the script uses the limit, which needs no rights.
#
# Expected output:
#   exit status 139
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 h5py==3.14.0 numpy==2.4.6 jax==0.10.2
cd "$folder"
cat > save.py <<'PY'
import resource

import keras

layers = [keras.layers.Dense(30) for _ in range(30)]
model = keras.Sequential([keras.Input((30,)), *layers])
for limit in range(4096, 200_000, 8192):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        model.save_weights("model.weights.h5")
    except (OSError, RuntimeError):
        pass
PY
status=0
KERAS_BACKEND=jax "$folder/venv/bin/python" save.py > /dev/null 2>&1 || status=$?
echo "exit status $status"
test "$status" -eq 139
