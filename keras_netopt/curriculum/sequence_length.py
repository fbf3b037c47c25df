"""Sequence length warm-up."""

import math
from dataclasses import dataclass, fields
from typing import Any, Self

import keras
import numpy as np

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.curriculum.sample_source import SampleSource
from keras_netopt.points import Point, RunLength
from keras_netopt.schedules import Linear
from keras_netopt.serialization import export_class

MODES = ("truncate", "segment")
MAX_LENGTHS = 8


@export_class
@dataclass(frozen=True)
class SequenceLengthWarmup:
    """Trains on short sequences first: `Curriculum(sequence_length=...)`.

    The length grows linearly from `min_length` to `max_length` and is rounded
    down to a multiple of `step_size`, because XLA compiles the training step
    once per length.

    Example:

    >>> import numpy as np
    >>> from keras_netopt.points import RunLength
    >>> warmup = SequenceLengthWarmup(8, 32, step_size=8, end=0.5)
    >>> warmup.lengths(RunLength(steps_per_epoch=4, epochs=2), epoch=0, steps=4)
    array([ 8,  8, 16, 24])

    Args:
        min_length: Length at the start, in tokens, at least 1. Defaults to
            `8`.
        max_length: Length from `end` on, in tokens. Defaults to `None`: the
            length of the data.
        step_size: Lengths are multiples of it, at least 1. Defaults to
            `None`: a value that gives at most 8 lengths.
        end: Point of the fit from which sequences have their full length: a
            float in [0, 1] (fraction of the fit), an int (steps), "3ep" or
            "500step". Defaults to `0.3`.
        mode: "truncate" drops the rest of a sequence; "segment" splits it
            into further samples, for targets with one value per token, and
            keeps the number of tokens per batch. Defaults to `"truncate"`.

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
    step_size: int | None = None
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
        if self.step_size is not None:
            check_integer(self.step_size, "step_size", minimum=1)
        check_choice(self.mode, "mode", MODES)
        self._schedule(self.min_length)

    @property
    def full_length(self) -> int:
        """Length of whole sequences."""
        return int(self.max_length or self.min_length)

    def fit_to_data(self, x: Any, y: Any) -> Self:
        """Sets `max_length` and `step_size` by the data, if they are `None`.

        Args:
            x: Inputs of shape `(samples, steps, ...)`.
            y: Targets, or `None`.

        Raises:
            ValueError: If the sequences are too short, or `mode="segment"` and
                there are no targets per token.
        """
        found = {
            leaf.shape[1] for leaf in keras.tree.flatten(x) if leaf.ndim > 1
        }
        longest = max(found, default=0)
        if longest < (self.max_length or self.min_length):
            raise ValueError(
                "Argument `sequence_length` must not be longer than the "
                f"sequences of shape (samples, steps, ...), which have "
                f"{longest} steps. Received: sequence_length={self!r}"
            )
        size = self.max_length or longest
        if self.mode == "segment" and not _has_targets_per_step(y, size):
            raise ValueError(
                'Argument `sequence_length` with mode="segment" needs targets '
                'with one value per step; use mode="truncate". '
                f"Received: sequence_length={self!r}"
            )
        step = self.step_size or _default_step_size(size - self.min_length)
        return type(self)(self.min_length, size, step, self.end, self.mode)

    def lengths(self, run: RunLength, epoch: int, steps: int) -> np.ndarray:
        """Returns the length of each batch of an epoch.

        Args:
            run: Length of the whole fit.
            epoch: Number of the epoch, from 0.
            steps: Batches of the epoch.
        """
        schedule = self._schedule(self.full_length)
        step = self.step_size or 1
        first = epoch * steps
        found = []
        for i in range(first, first + steps):
            wanted = math.floor(round(schedule.at(i, run), 6))
            rounded = max(wanted // step * step, self.min_length)
            found.append(
                self.full_length if wanted >= self.full_length else rounded
            )
        return np.array(found, "int64")

    def apply(
        self, x: Any, y: Any, weight: np.ndarray, length: int
    ) -> tuple[Any, Any, np.ndarray]:
        """Cuts the sequences of a batch.

        Args:
            x: Inputs; arrays whose second axis has the full length.
            y: Targets, likewise.
            weight: Weights of shape `(batch,)` or `(batch, steps)`.
            length: The new length.
        """
        if length >= self.full_length:
            return x, y, weight

        def shorten_array(array: np.ndarray) -> np.ndarray:
            if array.ndim < 2 or array.shape[1] != self.full_length:
                return self._repeat(array, length)
            return self._cut(array, length)

        x, y = keras.tree.map_structure(shorten_array, (x, y))
        return x, y, shorten_array(weight)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON-safe values."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Creates the warm-up from its config."""
        return cls(**config)

    def _schedule(self, size: int) -> Linear:
        return Linear(
            initial=self.min_length, final=size, begin=0.0, end=self.end
        )

    def _cut(self, array: np.ndarray, length: int) -> np.ndarray:
        if self.mode == "truncate":
            return array[:, :length]
        segments = self.full_length // length
        kept = array[:, : segments * length]
        return kept.reshape(len(array) * segments, length, *array.shape[2:])

    def _repeat(self, array: np.ndarray, length: int) -> np.ndarray:
        if self.mode == "truncate":
            return array
        return np.repeat(array, self.full_length // length, axis=0)


def fit_to_source(
    warmup: Any, source: SampleSource
) -> SequenceLengthWarmup | None:
    """Returns a warm-up with the lengths of the data; `None` for `None`.

    Raises:
        TypeError: If it is not a warm-up.
        ValueError: If it does not match the data.
    """
    if warmup is None:
        return None
    if not isinstance(warmup, SequenceLengthWarmup):
        raise TypeError(
            "Argument `sequence_length` must be a "
            "`keras_netopt.curriculum.SequenceLengthWarmup`. "
            f"Received: sequence_length={warmup!r}"
        )
    return warmup.fit_to_data(*source.fetch(np.arange(1))[:2])


def _has_targets_per_step(y: Any, size: int) -> bool:
    leaves = keras.tree.flatten(y)
    return all(
        leaf is not None and leaf.ndim > 1 and leaf.shape[1] == size
        for leaf in leaves
    )


def _default_step_size(width: int) -> int:
    """Returns a step size for at most 8 lengths, a multiple of 8 from 8 on."""
    step = max(1, math.ceil(width / (MAX_LENGTHS - 1)))
    return step if step < 8 else math.ceil(step / 8) * 8
