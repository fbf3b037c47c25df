"""Rows of the contract for Growing."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from contract import zoo
from contract.callback_setting import GRAPHS, Case, Setting

from keras_netopt import surgery
from keras_netopt.callbacks import Growing

COMPONENT = "callbacks.Growing"


@keras.saving.register_keras_serializable("contract")
@dataclasses.dataclass(frozen=True)
class WidenFirst(surgery.Action):
    """Widens the first layer that may grow."""

    add: int = 2

    def apply(self, model: keras.Model, **options: Any) -> Any:
        return self._found(model).apply(model, **options)

    def rehearse(self, model: keras.Model, **options: Any) -> Any:
        return self._found(model).rehearse(model, **options)

    def _found(self, model: keras.Model) -> surgery.Widen:
        graph = surgery.ChannelGraph(model)
        for group in graph.layer_groups():
            free = not (
                group.reason or group.normalized_by or group.not_replicable
            )
            if free and not isinstance(group.layers[0], tuple):
                return surgery.Widen(graph.path(group.layers[0]), add=self.add)
        raise ValueError("No layer may grow")


_WIDER = {
    "actions": [WidenFirst()],
    "trigger": {0: [0]},  # Some checks fit one step only.
    "verbose": 0,
}

_TWO = [WidenFirst(), WidenFirst(3)]


def is_larger(before: Any, after: Any, callback: Any) -> bool:
    return (
        len(callback.history) == 1
        and after.count_params() > before.count_params()
        and all(
            r.output_difference is None
            or r.output_difference.verdict != "changed"
            for r in callback.reports
        )
    )


def _growing(**changed: Any) -> Any:
    return lambda case: Growing(**{**_WIDER, **changed})


def _gradmax(data: Any) -> Any:
    return lambda case: Growing(
        **{**_WIDER, "new_units": "gradmax", "calibration_data": data(case)}
    )


def _targets(case: Any) -> Any:
    return zoo.data("mlp")[1]


def _nothing_to_grow(folder: Path) -> tuple[keras.Model, list[Any]]:
    growing = Growing(**{**_WIDER, "max_params": 1})
    return zoo.compiled(eager=True), [growing]


SETTINGS = (
    Setting(
        name="Growing",
        component=COMPONENT,
        models=GRAPHS,
        needs_callback=True,
        arguments=lambda case: _WIDER,
        effect=is_larger,
        neutral=lambda case: {
            **_WIDER,
            "trigger": surgery.Plateau("loss", patience=99),
        },
        twin=lambda model, case: WidenFirst().apply(
            model, new_units="zero", seed=0
        ),
        reference=False,
    ),
    Setting(
        name="Growing copies",
        component=COMPONENT,
        models=GRAPHS,
        needs_callback=True,
        arguments=lambda case: {
            **_WIDER,
            "trigger": {0.5: [0]},
            "new_units": "net2net",
            "calibration_data": case.x,
        },
        effect=is_larger,
        reference=False,
    ),
)

IDLE = (_nothing_to_grow, "Raise `max_params`")

BAD: dict[str, Callable[[Case], Any]] = {
    "actions": _growing(actions=[]),
    "trigger": _growing(trigger="soon"),
    "new_units": _growing(new_units="even"),
    "until": _growing(until=3),
    "max_params": _growing(max_params=0),
    "max_macs": _growing(max_macs=0),
    "end": _growing(end=1.5),
    "calibration_data": _gradmax(lambda case: case.x),
    "tolerance": _growing(tolerance=0),
    "on_violation": _growing(on_violation="stop"),
    "input_shape": _growing(input_shape="long"),
    "verbose": _growing(verbose="loud"),
}

CHANGES: dict[str, tuple[Any, ...]] = {
    "actions": (_growing(), _growing(actions=[WidenFirst(3)])),
    "trigger": (_growing(), _growing(trigger={2: [0]})),
    "new_units": (_growing(), _growing(new_units="random")),
    "until": (
        _growing(trigger=surgery.Every("1step")),
        _growing(
            trigger=surgery.Every("1step"),
            until=surgery.StopWithoutImprovement(monitor="loss"),
        ),
    ),
    "max_params": (_growing(), _growing(max_params=1)),
    "max_macs": (_growing(), _growing(max_macs=1)),
    "end": (
        _growing(actions=_TWO, trigger=surgery.Every(3)),
        _growing(actions=_TWO, trigger=surgery.Every(3), end=0.5),
    ),
    "calibration_data": (
        _gradmax(lambda case: (case.x, _targets(case))),
        _gradmax(lambda case: (-case.x, _targets(case))),
    ),
    "tolerance": (
        _growing(new_units="net2net"),
        _growing(new_units="net2net", tolerance=1e-12),
    ),
    "on_violation": (
        _growing(new_units="net2net", tolerance=1e-12),
        # Raises in `fit`: the test must take that for another outcome.
        _growing(
            new_units="net2net",
            tolerance=1e-12,
            on_violation="raise",
        ),
    ),
    "input_shape": (_growing(), _growing(input_shape=(None, 1, 1, 1, 1))),
    "verbose": (_growing(), _growing(verbose=1)),
}
