"""Rows of the contract for learning rates."""

from collections.abc import Callable
from typing import Any

from contract.function_setting import Call, FunctionSetting

from keras_netopt import learning_rate


def _rates(name: str, **arguments: Any) -> Callable[..., Call]:
    """A learning rate schedule at a few steps."""

    def changed(**other: Any) -> Call:
        def call(model, folder):
            schedule = getattr(learning_rate, name)(**{**arguments, **other})
            return [float(schedule(step)) for step in (0, 3, 7, 20)]

        return call

    return changed


_one_cycle = _rates("OneCycle", max_learning_rate=0.1, total_steps=10)


_triangular = _rates(
    "Triangular", min_learning_rate=0.1, max_learning_rate=0.2, half_cycle=4
)


_warmup = _rates("Warmup", schedule=0.1, warmup_steps=5)


_stable = _rates(
    "WarmupStableDecay",
    max_learning_rate=0.1,
    total_steps=10,
    warmup_steps=2,
    decay_steps=3,
)


_inverse = _rates("InverseSquareRoot", max_learning_rate=0.1, warmup_steps=4)


FUNCTIONS = (
    FunctionSetting(
        component="learning_rate.OneCycle",
        call=_one_cycle(),
        is_pruned=False,
        bad={
            "max_learning_rate": _one_cycle(max_learning_rate=0.0),
            "total_steps": _one_cycle(total_steps=0),
            "warmup_fraction": _one_cycle(warmup_fraction=1.5),
            "div_factor": _one_cycle(div_factor=0.5),
            "final_div_factor": _one_cycle(final_div_factor="large"),
        },
    ),
    FunctionSetting(
        component="learning_rate.Triangular",
        call=_triangular(),
        is_pruned=False,
        bad={
            "min_learning_rate": _triangular(min_learning_rate=-0.1),
            "max_learning_rate": _triangular(max_learning_rate=0.1),
            "half_cycle": _triangular(half_cycle=0),
            "cycle_factor": _triangular(cycle_factor=2.0),
        },
    ),
    FunctionSetting(
        component="learning_rate.Warmup",
        call=_warmup(),
        is_pruned=False,
        bad={
            "schedule": _warmup(schedule="cosine"),
            "warmup_steps": _warmup(warmup_steps=0),
            "initial": _warmup(initial=-0.1),
        },
    ),
    FunctionSetting(
        component="learning_rate.WarmupStableDecay",
        call=_stable(),
        is_pruned=False,
        bad={
            "max_learning_rate": _stable(max_learning_rate=0.0),
            "total_steps": _stable(total_steps=4),
            "warmup_steps": _stable(warmup_steps=-1),
            "decay_steps": _stable(decay_steps=9),
            "final": _stable(final=-0.1),
            "decay": _stable(decay="steps"),
        },
    ),
    FunctionSetting(
        component="learning_rate.InverseSquareRoot",
        call=_inverse(),
        is_pruned=False,
        bad={
            "max_learning_rate": _inverse(max_learning_rate=-1.0),
            "warmup_steps": _inverse(warmup_steps=0),
        },
    ),
)
