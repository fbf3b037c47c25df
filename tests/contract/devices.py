"""C13 in a process with two devices."""

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from contract import callback_setting, probes, settings, zoo


def checks(
    root: Path, chosen: Sequence[str]
) -> Iterator[tuple[str, Callable[[], None]]]:
    kinds = {"tensorflow": _mirrored, "jax": _data_parallel}
    kind = kinds.get(keras.backend.backend())
    if kind is None:
        return
    for name in chosen:
        folder = root / f"devices {name}"
        folder.mkdir()
        setting = settings.BY_NAME[name]
        yield f"devices {name}", functools.partial(kind, setting, folder)


@functools.cache
def _strategy() -> Any:
    """Returns one strategy for all models.

    Each strategy numbers its collectives from 100, and TensorFlow confuses
    equal numbers of models of different sizes.
    """
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def _mirrored(setting: callback_setting.Setting, folder: Path) -> None:
    strategy = _strategy()
    alone, loss = _train(setting, folder)
    with strategy.scope():
        model = zoo.light(dropout=0.0)
    both, shared_loss = _train(setting, folder, model)
    copies = [v.value.values for v in model.weights]
    assert all(len(values) == 2 for values in copies)
    for first, second in copies:
        np.testing.assert_array_equal(first.numpy(), second.numpy())
    _compare(loss, shared_loss, alone, both)


def _data_parallel(setting: callback_setting.Setting, folder: Path) -> None:
    import jax

    assert len(jax.devices()) == 2
    alone, loss = _train(setting, folder)
    distribution = keras.distribution.DataParallel(devices=jax.devices())
    with distribution.scope():
        model = zoo.light(dropout=0.0)
        both, shared_loss = _train(setting, folder, model)
    for variable in model.weights:
        shards = [np.asarray(s.data) for s in variable.value.addressable_shards]
        assert len(shards) == 2
        np.testing.assert_array_equal(shards[0], shards[1])
    _compare(loss, shared_loss, alone, both)


def _train(
    setting: callback_setting.Setting, folder: Path, model: Any = None
) -> tuple[keras.Model, list[float]]:
    model = model or zoo.light(dropout=0.0)
    callbacks = setting.callbacks(callback_setting.case("mlp", folder))
    history = probes.fit(model, "mlp", callbacks)
    assert setting.effect(zoo.build("mlp"), model, callbacks[-1])
    return model, history["loss"]


def _compare(
    loss: list[float],
    shared_loss: list[float],
    alone: keras.Model,
    both: keras.Model,
) -> None:
    np.testing.assert_allclose(loss, shared_loss, atol=1e-4)
    for mine, theirs in zip(
        alone.get_weights(), both.get_weights(), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)
