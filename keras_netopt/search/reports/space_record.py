"""The search space of a project, as its files describe it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

INTERNAL = "tuner/"


@dataclass(frozen=True)
class RecordedDimension:
    """One hyperparameter.

    Example:

    >>> rate = RecordedDimension("rate", low=1e-4, high=1e-2, sampling="log")
    >>> round(rate.unit(1e-3), 3)
    0.5
    >>> RecordedDimension("optimizer", choices=("sgd", "adam")).unit("adam")
    0.75

    Args:
        name: Its name.
        low: Smallest value of a number. Defaults to `None`.
        high: Largest value of a number. Defaults to `None`.
        sampling: "linear", "log" or "reverse_log". Defaults to `"linear"`.
        choices: The values of a choice. Defaults to `()`: a number.
    """

    name: str
    low: float | None = None
    high: float | None = None
    sampling: str = "linear"
    choices: tuple[Any, ...] = ()

    def unit(self, value: Any) -> float | None:
        """Returns where a value stands between 0 and 1, or `None`."""
        if self.choices:
            if value not in self.choices:
                return None
            return (self.choices.index(value) + 0.5) / len(self.choices)
        if self.low is None or self.high is None:
            return None
        if not isinstance(value, int | float) or self.high <= self.low:
            return 0.5
        return _share(float(value), self.low, self.high, self.sampling)


def _share(value: float, low: float, high: float, sampling: str) -> float:
    if sampling == "log" and low > 0 and value > 0:
        return math.log(value / low) / math.log(high / low)
    if sampling == "reverse_log" and low > 0 and low + high - value > 0:
        return 1.0 - _share(low + high - value, low, high, "log")
    return (value - low) / (high - low)


def dimensions(spaces: Iterable[Any]) -> tuple[RecordedDimension, ...]:
    """Reads the spaces of an oracle and of its trials.

    Args:
        spaces: Lists as KerasTuner writes them under "space"; what cannot be
            read is left out, of one name the first counts.

    Returns:
        One dimension a name that has more than one value.
    """
    found: dict[str, RecordedDimension] = {}
    for space in spaces:
        for entry in space if isinstance(space, list) else ():
            one = _dimension(entry)
            if one is not None and not one.name.startswith(INTERNAL):
                found.setdefault(one.name, one)
    return tuple(found.values())


def _dimension(entry: Any) -> RecordedDimension | None:
    config = entry.get("config") if isinstance(entry, Mapping) else None
    if not isinstance(config, Mapping) or "name" not in config:
        return None
    name, kind = str(config["name"]), entry.get("class_name")
    if kind in ("Float", "Int"):
        low, high = config.get("min_value"), config.get("max_value")
        sampling = config.get("sampling") or "linear"
        return RecordedDimension(name, low, high, sampling)
    if kind == "Choice":
        return RecordedDimension(name, choices=tuple(config.get("values", ())))
    if kind == "Boolean":
        return RecordedDimension(name, choices=(False, True))
    return None
