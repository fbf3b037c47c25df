"""Arguments of `AdaptiveComputation` by mode."""

from collections.abc import Callable
from typing import Any

from keras_netopt.checks import (
    check_at_least_zero,
    check_choice,
    check_fraction,
    check_probability,
    check_seed,
)

MODES = ("act", "ponder")
SAMPLE = "sample"


def check_halting_arguments(mode: str, **arguments: Any) -> dict[str, Any]:
    """Checks arguments and fills in the defaults of a mode.

    `None` selects the default of the mode, "act" or "ponder"; an argument of
    the other mode must be `None`.

    Example:

    >>> check_halting_arguments("act", epsilon=None, ponder_cost=0.01)
    {'epsilon': 0.01, 'ponder_cost': 0.01}
    """
    own = _CHECKS[mode]
    checked: dict[str, Any] = {}
    for name, value in arguments.items():
        if name in own:
            default, check = own[name]
            value = check(default if value is None else value, name)
        elif value is not None:
            (other,) = set(MODES) - {mode}
            raise ValueError(
                f"Argument `{name}` must be None with mode={mode!r}; it "
                f"belongs to mode={other!r}. Received: {name}={value!r}"
            )
        checked[name] = value
    return checked


def _check_prior(value: Any, name: str) -> float:
    rate = check_fraction(value, name)
    if rate == 0.0:
        raise ValueError(
            f"Argument `{name}` must be a float in (0, 1). "
            f"Received: {name}={value!r}"
        )
    return rate


def _check_halt_at(value: Any, name: str) -> float | str:
    if isinstance(value, str):
        check_choice(value, name, (SAMPLE,))
        return value
    threshold = check_probability(value, name)
    if threshold == 0.0:
        raise ValueError(
            f"Argument `{name}` must be {SAMPLE!r} or a float in (0, 1]. "
            f"Received: {name}={value!r}"
        )
    return threshold


# The default and the check of each argument, by mode.
_CHECKS: dict[str, dict[str, tuple[Any, Callable[[Any, str], Any]]]] = {
    "act": {
        "epsilon": (0.01, check_fraction),
        "ponder_cost": (1e-3, check_at_least_zero),
    },
    "ponder": {
        "prior": (0.2, _check_prior),
        "kl_weight": (0.01, check_at_least_zero),
        "halt_at": (SAMPLE, _check_halt_at),
        "seed": (None, lambda value, _: check_seed(value)),
    },
}
