"""Rows of the contract for LotteryTicket."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from contract.callback_setting import Case, Setting, idle_model
from contract.callbacks.pruning import half_is_zero
from contract.counts import kernels, zeros

from keras_netopt.callbacks import LotteryTicket

COMPONENT = "callbacks.LotteryTicket"
HALF = {"rounds": 1, "rate": 0.5}


def is_halved(before: Any, after: Any, callback: Any) -> bool:
    """One object after another starts from the masks that are there."""
    if callback is None:
        return half_is_zero(before, after, callback)
    first, last = callback.finished_rounds
    kept = sum(kernel.size for kernel in kernels(after)) - zeros(after)
    return kept == last.kept == round(first.kept / 2)


def _ticket(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: LotteryTicket(**{**HALF, **changed})


def _wanda(data: Callable[[Case], Any]) -> Callable[[Case], Any]:
    return lambda case: LotteryTicket(
        **HALF, score="wanda", calibration_data=data(case)
    )


def _nothing_to_prune(folder: Path) -> tuple[keras.Model, list[Any]]:
    return idle_model(), [LotteryTicket(rounds=2)]


SETTINGS = (
    Setting(
        name="LotteryTicket",
        component=COMPONENT,
        arguments=lambda case: HALF,
        effect=is_halved,
        reference=False,
        parts=2,
    ),
    Setting(
        name="LotteryTicket reinit",
        component=COMPONENT,
        arguments=lambda case: {
            **HALF,
            "rewind_to": "3step",
            "control": "reinit",
        },
        effect=is_halved,
        reference=False,
        parts=2,
    ),
    Setting(
        name="LotteryTicket shuffle_mask",
        component=COMPONENT,
        arguments=lambda case: {
            **HALF,
            "rewind_to": "2step",
            "control": "shuffle_mask",
        },
        effect=is_halved,
        reference=False,
        parts=2,
    ),
)

IDLE = (_nothing_to_prune, "`include`")

BAD: dict[str, Callable[[Case], Any]] = {
    "rounds": _ticket(rounds=2),  # The `fit` call has one epoch.
    "rate": _ticket(rate=1.0),
    "rewind_to": _ticket(rewind_to="soon"),
    "control": _ticket(control="random"),
    "score": _ticket(score="best"),
    "allocation": _ticket(allocation="fair"),
    "include": _ticket(include="no_such_weight"),
    "exclude": _ticket(exclude="no_such_weight"),
    "calibration_data": _wanda(lambda case: None),
    "min_size": _ticket(min_size=-1),
    "min_kept": _ticket(min_kept=0.5),
    "seed": _ticket(seed="one"),
}

CHANGES: dict[str, tuple[Any, ...]] = {
    "rounds": (_ticket(), _ticket(rounds=2)),
    "rate": (_ticket(), _ticket(rate=0.4)),
    "rewind_to": (_ticket(), _ticket(rewind_to="2step")),
    "control": (_ticket(), _ticket(control="reinit")),
    "score": (_ticket(), _ticket(score="random")),
    "allocation": (_ticket(), _ticket(allocation="uniform")),
    "include": (_ticket(), _ticket(include="first")),
    "exclude": (_ticket(), _ticket(exclude="last")),
    "calibration_data": (
        _wanda(lambda case: case.x),
        _wanda(lambda case: case.x[:, ::-1] * range(8)),
    ),
    "min_size": (_ticket(), _ticket(min_size=100)),
    "min_kept": (_ticket(), _ticket(min_kept=40)),
    "seed": (
        _ticket(control="shuffle_mask"),
        _ticket(control="shuffle_mask", seed=1),
    ),
}
