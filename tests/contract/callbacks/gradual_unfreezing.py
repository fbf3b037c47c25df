"""Contract settings of GradualUnfreezing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from contract import zoo
from contract.callback_setting import Case, Setting

from keras_netopt.callbacks import GradualUnfreezing

COMPONENT = "callbacks.GradualUnfreezing"

_QUARTER = {"groups": 2, "every": 0.25}


def both_groups_were_trained(before: Any, after: Any, callback: Any) -> bool:
    """The first from the beginning on, the second for a part of the fit."""
    first, second = callback.report().rows
    pairs = zip(before.get_weights(), after.get_weights(), strict=True)
    return (
        first.begin == 0
        and (second.begin, first.end) != (0, None)
        and None not in (first.begin, second.begin)
        and all(variable.trainable for variable in after.trainable_variables)
        and after.count_params() == before.count_params()
        and any(not np.array_equal(then, now) for then, now in pairs)
    )


def _unfreezing(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: GradualUnfreezing(**{**_QUARTER, **changed})


class _StopEarly(keras.callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.stop_training = True


def _stopped_before_the_second_group(
    folder: Path,
) -> tuple[keras.Model, list[Any]]:
    callbacks = [GradualUnfreezing(2, every="2ep"), _StopEarly()]
    return zoo.compiled(eager=True), callbacks


def _setting(name: str, **arguments: Any) -> Setting:
    return Setting(
        name=name,
        component=COMPONENT,
        arguments=lambda case: {**_QUARTER, **arguments},
        effect=both_groups_were_trained,
        reference=False,
        needs_callback=True,
    )


SETTINGS = (
    _setting("GradualUnfreezing"),
    _setting("GradualUnfreezing freeze", scheme="freeze"),
)

IDLE = (_stopped_before_the_second_group, "`every`")

BAD: dict[str, Callable[[Case], Any]] = {
    "groups": _unfreezing(groups=["no_such_layer", "out"]),
    "scheme": _unfreezing(scheme="melt"),
    "every": _unfreezing(every=0.0),
    "begin": _unfreezing(begin=-1),
}

CHANGES: dict[str, tuple[Any, ...]] = {
    "groups": (_unfreezing(), _unfreezing(groups=["hidden", "out"])),
    "scheme": (_unfreezing(), _unfreezing(scheme="freeze")),
    "every": (_unfreezing(), _unfreezing(every="1step")),
    "begin": (_unfreezing(), _unfreezing(begin=0.5)),
}
