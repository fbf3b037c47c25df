"""Rows of the contract for BestCheckpoint."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from contract import zoo
from contract.callback_setting import Case, Setting
from contract.callbacks import pruning

from keras_netopt.callbacks import BestCheckpoint, Pruning

COMPONENT = "callbacks.BestCheckpoint"


def best_is_sparse(before: Any, after: Any, callback: Any) -> bool:
    saved = keras.saving.load_model(callback.filepath)

    def count(model: keras.Model) -> int:
        arrays = zip(model.weights, model.get_weights(), strict=True)
        return sum(int((w == 0).sum()) for v, w in arrays if "kernel" in v.name)

    return count(saved) == count(after) > 2 * count(before)


def _best(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: BestCheckpoint(
        **{"filepath": str(case.folder / "best.keras"), **changed}
    )


def _never_sparse_enough(folder: Path) -> tuple[keras.Model, list[Any]]:
    best = BestCheckpoint(
        str(folder / "best.keras"), monitor="loss", sparsity=0.9
    )
    return zoo.compiled(eager=True), [Pruning(0.5), best]


SETTINGS = (
    Setting(
        name="BestCheckpoint",
        component=COMPONENT,
        arguments=lambda case: {
            "filepath": str(case.folder / "best.keras"),
            "monitor": "loss",
            "mode": "max",  # The dense first epoch would be the best one.
        },
        effect=best_is_sparse,
        beside=(pruning.SETTINGS[0],),
        neutral=lambda case: {
            "filepath": str(case.folder / "best.keras"),
            "monitor": "loss",
        },
        reference=False,
    ),
)

IDLE = (_never_sparse_enough, "Train longer")

BAD: dict[str, Callable[[Case], Any]] = {
    "filepath": _best(filepath=3),
    "monitor": _best(monitor=None),
    "mode": _best(mode="best"),
    "sparsity": _best(sparsity=1.5),
    "save_weights_only": _best(save_weights_only="yes"),
    "verbose": _best(verbose="loud"),
}

CHANGES: dict[str, tuple[Any, ...]] = {
    "filepath": (
        _best(monitor="loss"),
        lambda case: BestCheckpoint(
            str(case.folder / "other.keras"), monitor="loss"
        ),
    ),
    "monitor": (_best(monitor="loss"), _best(monitor="accuracy")),
    "mode": (
        _best(monitor="loss", sparsity=0.1),
        _best(monitor="loss", sparsity=0.1, mode="max"),
    ),
    "sparsity": (
        _best(monitor="loss", mode="max"),
        _best(monitor="loss", mode="max", sparsity=0.1),
    ),
    "save_weights_only": (
        _best(monitor="loss"),
        _best(monitor="loss", save_weights_only=True),
    ),
    "verbose": (_best(monitor="loss"), _best(monitor="loss", verbose=1)),
}
