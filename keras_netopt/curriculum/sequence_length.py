"""Short sequences first."""

import math
from dataclasses import dataclass, fields
from typing import Any, Self

import keras
import numpy as np

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.curriculum.sources import Source
from keras_netopt.points import Point, RunLength
from keras_netopt.schedules import Linear
from keras_netopt.serialization import export_class

MODES = ("truncate", "segment")
MOST_LENGTHS = 8


@export_class
@dataclass(frozen=True)
class SequenceLengthWarmup:
    """Trains on short pieces of sequences first: `Curriculum(length=...)`.

    The length grows in a straight line from `min_length` to `max_length` and
    is rounded down to a multiple of `step`, so that few lengths occur: every
    new one makes XLA compile once more.

    Example:

    >>> import numpy as np
    >>> from keras_netopt.points import RunLength
    >>> warmup = SequenceLengthWarmup(8, 32, step=8, end=0.5)
    >>> warmup.lengths(RunLength(steps_per_epoch=4, epochs=2), epoch=0, steps=4)
    array([ 8,  8, 16, 24])

    Args:
        min_length: Length at the start, at least 1. Defaults to `8`.
        max_length: Length from `end` on. Defaults to `None`: that of the
            data.
        step: Lengths are multiples of it, at least 1. Defaults to `None`: so
            that at most 8 lengths occur.
        end: Point of the fit from which on sequences are whole: a float in
            [0, 1] (fraction of the fit), an int (steps), "3ep" or "500step".
            Defaults to `0.3`.
        mode: "truncate" drops what is longer; "segment" makes further samples
            of it, for targets that have a value for each token, and the
            number of tokens in a batch stays. Defaults to `"truncate"`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Reference:
        Li et al., "The stability-efficiency dilemma: investigating sequence
        length warmup for training GPT models", 2021,
        https://arxiv.org/abs/2108.06084 (seqlen_s = `min_length`).
    """

    min_length: int = 8
    max_length: int | None = None
    step: int | None = None
    end: Point = 0.3
    mode: str = "truncate"

    def __post_init__(self) -> None:
        check_integer(self.min_length, "min_length", minimum=1)
        if self.max_length is not None:
            check_integer(self.max_length, "max_length", minimum=1)
            if self.max_length < self.min_length:
                raise ValueError(
                    "Argument `max_length` must be at least `min_length`. "
                    f"Received: max_length={self.max_length}, "
                    f"min_length={self.min_length}"
                )
        if self.step is not None:
            check_integer(self.step, "step", minimum=1)
        check_choice(self.mode, "mode", MODES)
        self._schedule(self.min_length)

    @property
    def size(self) -> int:
        """Length of whole sequences."""
        return int(self.max_length or self.min_length)

    def fitted(self, x: Any, y: Any) -> Self:
        """Returns the warm-up with the lengths that the data have.

        Args:
            x: Inputs with an axis of steps behind that of samples.
            y: Targets, or `None`.

        Raises:
            ValueError: If the data have no sequences of that length, or no
                targets for each token where segments need them.
        """
        found = {
            leaf.shape[1] for leaf in keras.tree.flatten(x) if leaf.ndim > 1
        }
        longest = max(found, default=0)
        if longest < (self.max_length or self.min_length):
            raise ValueError(
                "Argument `length` must fit sequences of shape (samples, "
                f"steps, ...), which are {longest} steps long here. "
                f"Received: length={self!r}"
            )
        size = self.max_length or longest
        if self.mode == "segment" and not _has_steps(y, size):
            raise ValueError(
                'Argument `length` with mode="segment" needs targets for each '
                'of the steps; use mode="truncate". '
                f"Received: length={self!r}"
            )
        step = self.step or _default_step(size - self.min_length)
        return type(self)(self.min_length, size, step, self.end, self.mode)

    def lengths(self, run: RunLength, epoch: int, steps: int) -> np.ndarray:
        """Returns the length of each batch of an epoch.

        Args:
            run: Length of the whole fit.
            epoch: Number of the epoch, from 0.
            steps: Batches of the epoch.
        """
        schedule = self._schedule(self.size)
        step = self.step or 1
        first = epoch * steps
        found = []
        for i in range(first, first + steps):
            wanted = math.floor(round(schedule.at(i, run), 6))
            rounded = max(wanted // step * step, self.min_length)
            found.append(self.size if wanted >= self.size else rounded)
        return np.array(found, "int64")

    def apply(
        self, x: Any, y: Any, weight: np.ndarray, length: int
    ) -> tuple[Any, Any, np.ndarray]:
        """Shortens a batch.

        Args:
            x: Inputs; arrays whose second axis has the full length.
            y: Targets, likewise.
            weight: Weights of shape `(batch,)` or `(batch, steps)`.
            length: The length to cut to.
        """
        if length >= self.size:
            return x, y, weight

        def shorten(array: np.ndarray) -> np.ndarray:
            if array.ndim < 2 or array.shape[1] != self.size:
                return self._repeat(array, length)
            return self._cut(array, length)

        x, y = keras.tree.map_structure(shorten, (x, y))
        return x, y, shorten(weight)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON-safe values."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Makes the warm-up whose `get_config` returned `config`."""
        return cls(**config)

    def _schedule(self, size: int) -> Linear:
        return Linear(
            initial=self.min_length, final=size, begin=0.0, end=self.end
        )

    def _cut(self, array: np.ndarray, length: int) -> np.ndarray:
        if self.mode == "truncate":
            return array[:, :length]
        pieces = self.size // length
        kept = array[:, : pieces * length]
        return kept.reshape(len(array) * pieces, length, *array.shape[2:])

    def _repeat(self, array: np.ndarray, length: int) -> np.ndarray:
        if self.mode == "truncate":
            return array
        return np.repeat(array, self.size // length, axis=0)


def fitted_length(length: Any, source: Source) -> SequenceLengthWarmup | None:
    """Returns a warm-up that fits the data, or `None` where there is none.

    Args:
        length: What the user gave.
        source: The data.

    Raises:
        TypeError: If it is no warm-up.
        ValueError: If it does not fit the data.
    """
    if length is None:
        return None
    if not isinstance(length, SequenceLengthWarmup):
        raise TypeError(
            "Argument `length` must be a "
            "`keras_netopt.curriculum.SequenceLengthWarmup`. "
            f"Received: length={length!r}"
        )
    return length.fitted(*source.fetch(np.arange(1))[:2])


def _has_steps(y: Any, size: int) -> bool:
    leaves = keras.tree.flatten(y)
    return all(
        leaf is not None and leaf.ndim > 1 and leaf.shape[1] == size
        for leaf in leaves
    )


def _default_step(width: int) -> int:
    """A step of which few are in the way, a multiple of 8 where it can be."""
    step = max(1, math.ceil(width / (MOST_LENGTHS - 1)))
    return step if step < 8 else math.ceil(step / 8) * 8
