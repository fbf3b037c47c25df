"""The log that a morphism search improves."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keras_netopt.checks import check_choice
from keras_netopt.metric_direction import metric_sign

MODES = ("auto", "min", "max")
VALIDATION = "val_"


@dataclass(frozen=True)
class MorphismObjective:
    """The name of a log, and its direction.

    Args:
        name: Key of the logs.
        sign: 1 if a higher value is better, else -1.
    """

    name: str
    sign: int

    @property
    def is_validated(self) -> bool:
        """Whether it is measured on validation data."""
        return self.name.startswith(VALIDATION)

    @classmethod
    def create(cls, objective: Any, mode: str) -> "MorphismObjective":
        """Checks the arguments of the search.

        Args:
            objective: A name, or an object with a `name` and a `direction`,
                such as `keras_tuner.Objective`.
            mode: "min", "max", or "auto": by the name.
        """
        check_choice(mode, "mode", MODES)
        name = getattr(objective, "name", objective)
        if not isinstance(name, str) or not name:
            raise TypeError(
                "Argument `objective` must be the name of a log, such as "
                f"'val_accuracy'. Received: objective={objective!r}"
            )
        if mode == "auto":
            mode = str(getattr(objective, "direction", None))
        sign = {"min": -1, "max": 1}.get(mode) or metric_sign(name)
        if not sign:
            raise ValueError(
                "Argument `mode` must be 'min' or 'max' for an objective "
                "whose name does not determine the direction. "
                f"Received: objective={name!r}, mode='auto'"
            )
        return cls(name, sign)

    def check(
        self, arguments: Mapping[str, Any], names: list[str] | None
    ) -> None:
        """Raises ValueError if no epoch will log the objective.

        Args:
            arguments: Those of `fit`.
            names: Metrics of the model, where they are known.
        """
        split = arguments.get("validation_split")
        has_data = arguments.get("validation_data") is not None or split
        if self.is_validated and not has_data:
            raise ValueError(
                "Argument `validation_data` must be given to `search`, "
                "because the objective is measured on it. "
                f"Received: objective={self.name!r}, validation_data=None"
            )
        if names is not None:
            start = VALIDATION if self.is_validated else ""
            known = [start + name for name in names]
            if self.name not in known:
                raise _unknown(self.name, known)

    def read(self, logs: Mapping[str, float]) -> float | None:
        """Returns the objective in the logs; `None` if it is not finite."""
        if self.name not in logs:
            raise _unknown(self.name, sorted(logs))
        value = logs[self.name]
        return value if math.isfinite(value) else None


def _unknown(name: str, known: list[str]) -> ValueError:
    return ValueError(
        f"Argument `objective` must be a log of the model, one of {known}. "
        f"Received: objective={name!r}"
    )
