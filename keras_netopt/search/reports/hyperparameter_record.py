"""The search space in the files of a project."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

INTERNAL = "tuner/"


@dataclass(frozen=True)
class HyperparameterRecord:
    """One hyperparameter of a project.

    Args:
        name: Name of the hyperparameter.
        low: Minimum of a number. Defaults to `None`.
        high: Maximum of a number. Defaults to `None`.
        sampling: "linear", "log" or "reverse_log". Defaults to `"linear"`.
        choices: Values of a choice. Defaults to `()`: a number.
        is_whole: Whether the numbers are whole. Defaults to `False`.
    """

    name: str
    low: float | None = None
    high: float | None = None
    sampling: str = "linear"
    choices: tuple[Any, ...] = ()
    is_whole: bool = False

    def unit(self, value: Any) -> float | None:
        """Returns the position of a value in [0, 1], or `None`."""
        if self.choices:
            if value not in self.choices:
                return None
            return (self.choices.index(value) + 0.5) / len(self.choices)
        if self.low is None or self.high is None:
            return None
        if not isinstance(value, int | float) or self.high <= self.low:
            return 0.5
        return _to_unit(float(value), self.low, self.high, self.sampling)


def _to_unit(value: float, low: float, high: float, sampling: str) -> float:
    if sampling == "log" and low > 0 and value > 0:
        return math.log(value / low) / math.log(high / low)
    if sampling == "reverse_log" and low > 0 and low + high - value > 0:
        return 1.0 - _to_unit(low + high - value, low, high, "log")
    return (value - low) / (high - low)


def read_space(spaces: Iterable[Any]) -> tuple[HyperparameterRecord, ...]:
    """Reads KerasTuner's lists "space" of an oracle and its trials.

    Unreadable entries are skipped. Entries of one name, under different
    conditions, become one that holds the values of all.
    """
    found: dict[str, HyperparameterRecord] = {}
    for space in spaces:
        for entry in space if isinstance(space, list) else ():
            one = _read_entry(entry)
            if one is not None and not one.name.startswith(INTERNAL):
                known = found.setdefault(one.name, one)
                if one != known:
                    found[one.name] = _merge(known, one)
    return tuple(found.values())


def _merge(
    first: HyperparameterRecord, other: HyperparameterRecord
) -> HyperparameterRecord:
    """Returns one entry with the values of both, if they are alike."""
    if first.choices and other.choices:
        both = tuple(dict.fromkeys(first.choices + other.choices))
        return replace(first, choices=both)
    ranges = [one for one in map(_to_range, (first, other)) if one is not None]
    lows = [one.low for one in ranges if one.low is not None]
    highs = [one.high for one in ranges if one.high is not None]
    if len(lows) < 2 or len(highs) < 2:
        return first
    samplings = {one.sampling for one in (first, other) if not one.choices}
    return HyperparameterRecord(
        first.name,
        min(lows),
        max(highs),
        samplings.pop() if len(samplings) == 1 else "linear",
        is_whole=all(one.is_whole for one in ranges),
    )


def _to_range(one: HyperparameterRecord) -> HyperparameterRecord | None:
    """Returns choices of numbers as the range that holds them."""
    if not one.choices:
        return one
    numbers = [
        value
        for value in one.choices
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if len(numbers) < len(one.choices):
        return None
    is_whole = all(isinstance(value, int) for value in numbers)
    return HyperparameterRecord(
        one.name, min(numbers), max(numbers), is_whole=is_whole
    )


def _read_entry(entry: Any) -> HyperparameterRecord | None:
    config = entry.get("config") if isinstance(entry, Mapping) else None
    if not isinstance(config, Mapping) or "name" not in config:
        return None
    name, kind = str(config["name"]), entry.get("class_name")
    if kind in ("Float", "Int"):
        low, high = config.get("min_value"), config.get("max_value")
        sampling = config.get("sampling") or "linear"
        is_whole = kind == "Int"
        return HyperparameterRecord(
            name, low, high, sampling, is_whole=is_whole
        )
    if kind == "Choice":
        return HyperparameterRecord(
            name, choices=tuple(config.get("values", ()))
        )
    if kind == "Boolean":
        return HyperparameterRecord(name, choices=(False, True))
    return None
