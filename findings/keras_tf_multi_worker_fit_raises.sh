#!/usr/bin/env bash
# Keras 3.15.1 on TensorFlow 2.21.0: `fit` raises under `tf.distribute.MultiWorkerMirroredStrategy`, whatever the model.
# Before the first step Keras reduces a batch of each worker (a `PerReplica` of one value) by `strategy.reduce`, which takes
# it for a tensor. MirroredStrategy is not affected.
#
# Expected output:
#   worker 0: ValueError: Attempt to convert a value (PerReplica
#   worker 1: ValueError: Attempt to convert a value (PerReplica
#
# Exits 0 while that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 numpy==2.4.6 tensorflow==2.21.0
cat > "$folder/worker.py" <<'PY'
import json
import os
import sys

index, ports = int(sys.argv[1]), sys.argv[2:]
os.environ["TF_CONFIG"] = json.dumps(
    {
        "cluster": {"worker": [f"127.0.0.1:{port}" for port in ports]},
        "task": {"type": "worker", "index": index},
    }
)
import tensorflow as tf

strategy = tf.distribute.MultiWorkerMirroredStrategy()
import keras
import numpy as np

with strategy.scope():
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
text = "trained"
try:
    model.fit(np.ones((16, 8)), np.ones((16, 1)), batch_size=8, verbose=0)
except Exception as error:
    text = f"{type(error).__name__}: {str(error)[:43]}"
print(f"worker {index}: {text}", flush=True)
os._exit(0)
PY
ports=$(python3 -c "
import socket
found = [socket.socket() for _ in range(2)]
[one.bind(('127.0.0.1', 0)) for one in found]
print(*(one.getsockname()[1] for one in found))")
for index in 0 1; do
  KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 timeout 120 "$folder/venv/bin/python" "$folder/worker.py" "$index" $ports \
    > "$folder/$index.txt" 2> /dev/null &
done
wait
cat "$folder/0.txt" "$folder/1.txt"
grep -q "^worker 0: ValueError: Attempt to convert a value (PerReplica" "$folder/0.txt"
grep -q "^worker 1: ValueError: Attempt to convert a value (PerReplica" "$folder/1.txt"
