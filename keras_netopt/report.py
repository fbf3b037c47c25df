"""Base of every report: printable, and convertible to plain data."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np


class Report:
    """A result that prints as text and converts to JSON-safe data.

    Subclass it as a frozen dataclass and write `__str__`.

    Example:

    >>> import dataclasses
    >>> @dataclasses.dataclass(frozen=True)
    ... class Accuracy(Report):
    ...     value: float
    ...     def __str__(self):
    ...         return f"{self.value:.1%}"
    >>> print(Accuracy(0.912))
    91.2%
    >>> Accuracy(0.912).to_dict()
    {'value': 0.912}
    """

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON-safe values, by name.

        Returns:
            Nested reports as dictionaries, arrays as lists.
        """
        return {
            field.name: as_plain(getattr(self, field.name))
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
        }


def as_plain(value: Any) -> Any:
    """Converts a value to what `json.dumps` accepts.

    Arrays become lists, dataclasses, reports and mappings dictionaries; an
    object of another type becomes its `repr`.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Report):
        return value.to_dict()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {f.name: as_plain(getattr(value, f.name)) for f in fields}
    if isinstance(value, Mapping):
        return {str(key): as_plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_plain(one) for one in value]
    return repr(value)
