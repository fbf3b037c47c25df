"""One device and four ways to use several, all of them on the CPU."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from benchmarks.distribution.piece import Piece

# The backend, how many processes, and what the table calls it.
KINDS = {
    "one tensorflow": ("tensorflow", 1, "one device"),
    "mirrored": ("tensorflow", 1, "Mirrored 2"),
    "multi worker": ("tensorflow", 2, "MultiWorker 2"),
    "one jax": ("jax", 1, "one device"),
    "data parallel": ("jax", 1, "DataParallel 4"),
    "model parallel": ("jax", 1, "ModelParallel 2"),
}
Make = Callable[[], keras.Model]


def train(kind: str, piece: Piece, folder: Any) -> dict[str, np.ndarray]:
    """Trains a component; with several devices these hold its weights."""
    if KINDS[kind][0] == "tensorflow":
        import tensorflow as tf

        # It takes longer than a run of some steps.
        options = {"disable_meta_optimizer": True}
        tf.config.optimizer.set_experimental_options(options)
    with _FUNCTIONS[kind](piece.model) as model:
        return piece.train(model, folder)


def join_cluster(worker: int, ports: tuple[int, ...]) -> None:
    """Makes this process a worker on the loopback interface."""
    os.environ["TF_CONFIG"] = json.dumps(
        {
            "cluster": {"worker": [f"127.0.0.1:{port}" for port in ports]},
            "task": {"type": "worker", "index": worker},
        }
    )


@contextlib.contextmanager
def _one(make: Make) -> Iterator[keras.Model]:
    yield make()


@contextlib.contextmanager
def _mirrored(make: Make) -> Iterator[keras.Model]:
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    logical = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [logical, logical])
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model = make()
    yield model
    for variable in [*model.variables, *model.optimizer.variables]:
        first, second = (one.numpy() for one in variable.value.values)
        if not np.array_equal(first, second, equal_nan=True):
            raise RuntimeError(f"the copies of {variable.path} differ")


@contextlib.contextmanager
def _multi_worker(make: Make) -> Iterator[keras.Model]:
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    if strategy.num_replicas_in_sync != 2:
        raise RuntimeError("expected two workers")
    with strategy.scope():
        model = make()
    yield model


@contextlib.contextmanager
def _data_parallel(make: Make) -> Iterator[keras.Model]:
    import jax

    devices = jax.devices()
    if len(devices) != 4:
        raise RuntimeError(f"expected four devices, found {devices}")
    distribution = keras.distribution.DataParallel(devices=devices)
    with distribution.scope():
        model = make()
        yield model
    for variable in model.variables:
        copies = {part.device for part in variable.value.addressable_shards}
        if len(copies) != 4:
            raise RuntimeError(f"{variable.path} is on {len(copies)} devices")


@contextlib.contextmanager
def _model_parallel(make: Make) -> Iterator[keras.Model]:
    import jax

    mesh = keras.distribution.DeviceMesh(
        (1, 2), ["batch", "model"], jax.devices()[:2]
    )
    layouts = keras.distribution.LayoutMap(mesh)
    layouts[".*hidden.*kernel"] = (None, "model")
    layouts[".*hidden.*bias"] = ("model",)
    distribution = keras.distribution.ModelParallel(
        layout_map=layouts, batch_dim_name="batch"
    )
    with distribution.scope():
        model = make()
        before = _sharded(model.variables)
        yield model
    if not before:
        raise RuntimeError("no weight is sharded")
    after = _sharded(model.variables)
    if after != before:
        raise RuntimeError(f"sharded before: {before}, after: {after}")
    slots = [v for v in model.optimizer.variables if len(v.shape) == 2]
    if len(_sharded(slots)) < 1:
        raise RuntimeError("no slot of the optimizer is sharded")


def _sharded(variables: Any) -> list[str]:
    """Paths of variables of which each device holds a part."""
    return [
        variable.path
        for variable in variables
        if any(
            part.data.size < variable.value.size
            for part in variable.value.addressable_shards
        )
    ]


_FUNCTIONS: dict[str, Any] = {
    "one tensorflow": _one,
    "mirrored": _mirrored,
    "multi worker": _multi_worker,
    "one jax": _one,
    "data parallel": _data_parallel,
    "model parallel": _model_parallel,
}
