"""Pacing functions: fraction of active samples as a function of progress."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_netopt.checks import check_choice
from keras_netopt.points import RunLength
from keras_netopt.schedules import (
    ExponentialPacing,
    Linear,
    LogarithmicPacing,
    PowerPacing,
    RootCompetence,
    Schedule,
    Steps,
)

NAMES: dict[str, Callable[[float, float], Schedule]] = {
    "linear": lambda b, a: Linear(initial=b, final=1.0, begin=0.0, end=a),
    "quadratic": lambda b, a: PowerPacing(initial=b, end=a, power=2.0),
    "root": lambda b, a: PowerPacing(initial=b, end=a, power=0.5),
    "exp": lambda b, a: ExponentialPacing(initial=b, end=a),
    "log": lambda b, a: LogarithmicPacing(initial=b, end=a),
    "step": lambda b, a: Steps({0.0: b, a: 1.0}),
    "competence": lambda b, a: RootCompetence(initial=b, final=1.0, end=a),
}


def pacing_function(
    name: str, initial: float = 0.2, end: float = 0.5
) -> Schedule:
    """Returns a pacing function of the literature by its name.

    Example:

    >>> from keras_netopt.points import RunLength
    >>> run = RunLength(steps_per_epoch=100, epochs=1)
    >>> names = ("log", "root", "step")
    >>> {n: round(pacing_function(n).at(25, run), 4) for n in names}
    {'log': 0.9446, 'root': 0.7657, 'step': 0.2}

    Args:
        name: "linear", "quadratic", "root", "exp", "log", "step" or
            "competence" (a square root from `initial` to 1; in its paper from
            0.01 to the end of training:
            `pacing_function("competence", 0.01, 1.0)`).
        initial: Fraction of active samples at the start, in (0, 1]. Defaults
            to `0.2`.
        end: Fraction of the fit after which all samples are active, in
            (0, 1]. Defaults to `0.5`.

    Returns:
        A schedule from `keras_netopt.schedules`.

    Raises:
        ValueError: If the name is unknown or a value is out of range.

    Reference:
        Wu et al., 2020, https://arxiv.org/abs/2012.03107 (b = `initial`,
        a = `end`); Platanios et al., 2019, https://arxiv.org/abs/1903.09848.
    """
    check_choice(name, "pacing", NAMES)
    return NAMES[name](initial, end)


def as_pacing(value: Any) -> Schedule:
    """Converts a name to a pacing function; schedules are returned as is.

    `None` stands for "linear".

    Raises:
        TypeError: If it has another type.
        ValueError: If the name is unknown.
    """
    if value is None or isinstance(value, str):
        return pacing_function(value or "linear")
    if not isinstance(value, Schedule):
        raise TypeError(
            f"Argument `pacing` must be one of {', '.join(map(repr, NAMES))} "
            "or a schedule from `keras_netopt.schedules`. "
            f"Received: pacing={value!r}"
        )
    return value


def active_fractions(
    schedule: Schedule, run: RunLength, epoch: int, steps: int
) -> np.ndarray:
    """Returns the fraction of active samples at each step of an epoch.

    Example:

    >>> from keras_netopt.points import RunLength
    >>> run = RunLength(steps_per_epoch=4, epochs=2)
    >>> active_fractions(as_pacing(None), run, 0, 4)
    array([0.2, 0.4, 0.6, 0.8])

    Raises:
        ValueError: If a fraction is not in (0, 1].
    """
    first = epoch * steps
    found = np.array([schedule.at(first + i, run) for i in range(steps)])
    wrong = found[~((found > 0.0) & (found <= 1.0))]
    if wrong.size:
        raise ValueError(
            "Argument `pacing` must give fractions in (0, 1]. "
            f"Received: pacing={schedule!r}, which gives {wrong[0]:.4g}"
        )
    return found
