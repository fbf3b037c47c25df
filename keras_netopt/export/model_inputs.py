"""The names and shapes of a model's inputs, and data arranged by them."""

import itertools
import keyword
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np


@dataclass(frozen=True)
class ModelInputs:
    """The flat inputs of a model, by which data and signatures are matched.

    Args:
        structure: The inputs as the model takes them: one structure of
            tensors or specs per positional argument.
        input_names: The names of the flat inputs in the model.
        names: The names of the flat inputs in the file.
    """

    structure: list[Any]
    input_names: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def shapes(self) -> list[tuple[int | None, ...]]:
        """The shape of each flat input, batch axis included."""
        return [tuple(s.shape) for s in keras.tree.flatten(self.structure)]

    @property
    def is_unordered(self) -> bool:
        """Whether a list does not say which value is for which input."""
        return len(self.names) > 1 and any(
            isinstance(part, Mapping) for part in self.structure
        )

    def find_values(self, value: Any) -> Iterator[Sequence[Any]]:
        """Yields the ways to read one value per flat input from `value`.

        A dict is read by the names of the inputs in the model or the file, or
        by the keys of a model that takes a dict; there is more than one way
        if names and keys contradict each other.
        """
        count = len(self.names)
        if isinstance(value, Mapping):
            for keys in self._keys():
                if len(set(keys)) == len(keys) and set(value) == set(keys):
                    yield tuple(value[key] for key in keys)
        elif not isinstance(value, (list, tuple)):
            if count == 1:
                yield (value,)
            return
        elif len(value) == count and not self.is_unordered:
            yield tuple(value)
        if count == 1 and isinstance(value, list):
            yield (value,)
        yield from self._same_structure(value)

    def find_kind(self, arrays: Sequence[np.ndarray]) -> str | None:
        """Returns "batch" or "sample" if the arrays fit, else `None`.

        A "sample" has no batch axis.
        """
        for kind, first in (("batch", 1), ("sample", 0)):
            if all(
                array.ndim >= first and fits(array.shape[first:], shape[1:])
                for array, shape in zip(arrays, self.shapes, strict=True)
            ):
                return kind
        return None

    def _keys(self) -> set[tuple[str, ...]]:
        keys = {self.input_names, self.names}
        if len(self.structure) == 1 and isinstance(self.structure[0], Mapping):
            paths = [
                p for p, _ in keras.tree.flatten_with_path(self.structure[0])
            ]
            if all(len(path) == 1 for path in paths):
                keys.add(tuple(path[0] for path in paths))
        return keys

    def _same_structure(self, value: Any) -> Iterator[Sequence[Any]]:
        for part in (self.structure, self.structure[0]):
            if not _is_nested(part) or len(keras.tree.flatten(part)) == 1:
                continue
            try:
                keras.tree.assert_same_structure(part, value)
            except (TypeError, ValueError):
                continue
            yield tuple(keras.tree.flatten(value))


def make_valid_names(names: Iterable[str]) -> tuple[str, ...]:
    """Returns unique names that file systems and TensorFlow do not change.

    Example:

    >>> make_valid_names(["z-wide", "z_wide", "class"])
    ('z_wide', 'z_wide_1', 'input_class')
    """
    found: list[str] = []
    for name in names:
        plain = _make_valid_name(name)
        tries = (f"{plain}_{k}" if k else plain for k in itertools.count())
        found.append(next(name for name in tries if name not in found))
    return tuple(found)


def _make_valid_name(name: str) -> str:
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    # TensorFlow makes the names parameters of a method.
    is_reserved = keyword.iskeyword(plain) or plain == "self"
    is_valid = plain[:1].isalpha() and not is_reserved
    return plain if is_valid else f"input_{plain}"


def fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    """Returns whether a shape has the sizes of another's known axes."""
    return len(shape) == len(wanted) and all(
        axis in (None, size) for axis, size in zip(wanted, shape, strict=True)
    )


def _is_nested(part: Any) -> bool:
    """Whether a structure has structures in it."""
    parts = part.values() if isinstance(part, Mapping) else part
    return isinstance(part, (list, tuple, Mapping)) and any(
        isinstance(item, (list, tuple, Mapping)) for item in parts
    )
