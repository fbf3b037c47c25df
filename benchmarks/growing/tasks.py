"""Tasks of the comparison of compute: images and text."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from benchmarks.growing import models
from keras_netopt.surgery.growing.actions import Action, Deepen, Widen

FLAT = 0.55  # Share of the training at the full learning rate.
LAST = 0.05  # Share of the learning rate at the end.


@dataclass(frozen=True)
class Task:
    """A small network, the large one that it grows into, and the data.

    Args:
        title: Its name in tables.
        data: Loads the data.
        small: Builds the small network.
        large: Builds the large one.
        actions: The actions that grow the small network into the large one.
        points: Points of the fit with the numbers of the actions there.
        epochs: Epochs of the networks that do not grow.
        grown_epochs: Epochs of the network that grows.
        metric: Name in the logs by which arms are compared.
        higher: Whether a higher value is better.
        steps: Steps an epoch, `None` where an epoch is the whole data.
    """

    title: str
    data: Callable[[], models.Data]
    small: Callable[[], Any]
    large: Callable[[], Any]
    actions: tuple[Action, ...]
    points: dict[Any, list[int]]
    epochs: int
    grown_epochs: int
    metric: str
    higher: bool
    steps: int | None = None


def rate(progress: float) -> float:
    """Returns the learning rate as a share of the full one.

    It stays constant while the network grows and falls afterwards, as a
    cosine, in every arm alike.
    """
    import math

    done = max(0.0, (progress - FLAT) / (1 - FLAT))
    return LAST + (1 - LAST) * 0.5 * (1 + math.cos(math.pi * done))


IMAGES = 10_000
LARGE_CNN = (32, 64, 64, 128)
SMALL_CNN = (16, 32, 32, 64)
STEPS = 100
LARGE_LM = {"depth": 4, "heads": 3, "hidden": 384}
SMALL_LM = {"depth": 2, "heads": 1, "hidden": 96}


@keras.saving.register_keras_serializable("benchmarks")
def silent_block(x: Any) -> Any:
    """A transformer block of the large size that starts as the identity."""
    name = f"grown{keras.backend.get_uid('grown')}"
    return models.block(
        x, LARGE_LM["heads"], LARGE_LM["hidden"], name, zero_init=True
    )


def _cnn_actions() -> tuple[Action, ...]:
    return tuple(Widen(f"conv{i}", to=w) for i, w in enumerate(LARGE_CNN))


def _lm_actions() -> tuple[Action, ...]:
    wide: list[Action] = []
    for i in range(SMALL_LM["depth"]):
        wide.append(Widen(f"block{i}_mha", to=LARGE_LM["heads"]))
        wide.append(Widen(f"block{i}_up", to=LARGE_LM["hidden"]))
    deep = [
        Deepen(f"block{i}_add2", block=silent_block)
        for i in range(SMALL_LM["depth"])
    ]
    return (*wide, *deep)


TASKS = {
    "cnn": Task(
        title="Fashion-MNIST CNN with batch norm",
        data=lambda: models.fashion_mnist(IMAGES),
        small=lambda: models.cnn(SMALL_CNN, keras.optimizers.Adam(1e-3)),
        large=lambda: models.cnn(LARGE_CNN, keras.optimizers.Adam(1e-3)),
        actions=_cnn_actions(),
        points={0.47: list(range(4))},
        epochs=20,
        grown_epochs=18,
        metric="val_accuracy",
        higher=True,
    ),
    "transformer": Task(
        title="character transformer on Python's help texts",
        data=lambda: models.python_docs(10 * STEPS * models.BATCH),
        small=lambda: models.transformer(
            **SMALL_LM, optimizer=keras.optimizers.Adam(1e-3)
        ),
        large=lambda: models.transformer(
            **LARGE_LM, optimizer=keras.optimizers.Adam(1e-3)
        ),
        actions=_lm_actions(),
        points={0.35: list(range(6))},
        epochs=12,
        grown_epochs=10,
        metric="val_loss",
        higher=False,
        steps=STEPS,
    ),
}
