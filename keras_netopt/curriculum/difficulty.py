"""Difficulty scores: one number per sample, larger is harder."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from keras_netopt.curriculum.sample_source import Samples, SampleSource

CHUNK = 2048
ScoreState = dict[str, np.ndarray]


@dataclass(frozen=True)
class ScoringContext:
    """Inputs of a difficulty: data, model and the state between scorings.

    Args:
        source: The training data.
        model: The model being trained, or `None` outside of `fit`.
        state: Arrays that a difficulty keeps from one scoring to the next;
            they are saved in checkpoints.
        verbose: 1 shows a progress bar. Defaults to `0`.
    """

    source: SampleSource
    model: Any
    state: ScoreState
    verbose: int = 0

    def chunks(self) -> Iterator[tuple[np.ndarray, Samples]]:
        """Yields ids and samples of all data, in the order of the ids."""
        size = 1 if self.source.unit == "batch" else CHUNK
        bar = keras.utils.Progbar(
            self.source.samples, verbose=self.verbose, unit_name="sample"
        )
        for start in range(0, self.source.samples, size):
            ids = np.arange(start, min(start + size, self.source.samples))
            yield ids, self.source.fetch(ids)
            bar.add(len(ids))

    def scores_per_unit(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Joins the scores of all chunks, averaged where a unit is a batch."""
        if self.source.unit == "batch":
            parts = [np.array([part.mean()]) for part in parts]
        return check_scores(np.concatenate(parts), self.source.samples)

    def require_model(self, name: str) -> keras.Model:
        """Returns the model being trained, or raises ValueError without."""
        if self.model is None:
            raise ValueError(
                f"Argument `difficulty` {name!r} needs the model being "
                "trained: there are no scores before `fit`. "
                "Received: model=None"
            )
        model: keras.Model = self.model
        return model


class Difficulty:
    """Base class of difficulty scores.

    A subclass overrides `score`. `dynamic` says that scores change while the
    model trains; `expensive` says that checkpoints keep the scores instead of
    computing them again.
    """

    dynamic = False
    expensive = False
    name = "difficulty"

    @property
    def needs_model(self) -> bool:
        """Whether scores depend on the model being trained."""
        return self.dynamic

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def score(self, context: ScoringContext) -> np.ndarray:
        """Returns the score of each sample, float64 of shape `(samples,)`.

        Args:
            context: Data, model and state.

        Raises:
            NotImplementedError: If a subclass does not override it.
        """
        raise NotImplementedError(
            f"`{type(self).__name__}` must override `score`."
        )


class PrecomputedScores(Difficulty):
    """Scores given as an array with one number per sample."""

    name = "array"

    def __init__(self, scores: Any):
        self.scores = np.asarray(scores)

    def score(self, context: ScoringContext) -> np.ndarray:
        """Returns the scores."""
        return check_scores(self.scores, context.source.samples)


class FunctionDifficulty(Difficulty):
    """Scores computed once by `function(x, y)`, of shape `(batch,)`."""

    name = "callable"

    def __init__(self, function: Any):
        self.function = function

    def score(self, context: ScoringContext) -> np.ndarray:
        """Calls the function on all samples, in the order of the ids."""
        found: list[np.ndarray] = []
        for ids, (x, y, _) in context.chunks():
            part = np.asarray(keras.ops.convert_to_numpy(self.function(x, y)))
            if context.source.unit == "batch" and part.size != 1:
                part = part.mean()
            if context.source.unit == "sample" and part.shape != (len(ids),):
                raise ValueError(
                    "Argument `difficulty` must be a function that returns "
                    f"one number for each of the {len(ids)} samples given. "
                    f"Received: an array of shape {part.shape}"
                )
            found.append(np.reshape(part, -1))
        return check_scores(np.concatenate(found), context.source.samples)


class CombinedDifficulty(Difficulty):
    """The largest percentile of several difficulties.

    A sample is active when its percentile is inside the active fraction for
    every difficulty.
    """

    name = "combined"

    def __init__(self, parts: Sequence[Difficulty]):
        self.parts = tuple(parts)
        self.dynamic = any(part.dynamic for part in self.parts)
        self.expensive = any(part.expensive for part in self.parts)

    @property
    def needs_model(self) -> bool:
        """Whether one of them depends on the model being trained."""
        return any(part.needs_model for part in self.parts)

    def score(self, context: ScoringContext) -> np.ndarray:
        """Returns the largest percentile of each sample, in (0, 1]."""
        percentiles: list[np.ndarray] = []
        for number, part in enumerate(self.parts):
            own = select_by_prefix(context.state, f"{number}.")
            scores = part.score(replace(context, state=own))
            percentiles.append(to_percentiles(scores))
            context.state.update({f"{number}.{k}": v for k, v in own.items()})
        return np.stack(percentiles).max(axis=0)


def to_percentiles(scores: np.ndarray) -> np.ndarray:
    """Returns the share of samples whose score is not larger, in (0, 1].

    Example:

    >>> to_percentiles(np.array([5.0, 1.0, 1.0, 9.0]))
    array([0.75, 0.5 , 0.5 , 1.  ])
    """
    places: Any = np.searchsorted(np.sort(scores), scores, "right")
    return places / len(scores)


def check_scores(scores: Any, samples: int) -> np.ndarray:
    """Returns finite scores as float64 of shape `(samples,)`.

    Raises:
        ValueError: If shape or values are wrong.
    """
    array = np.asarray(scores)
    if array.shape == (samples, 1):
        array = array[:, 0]
    if array.shape != (samples,) or array.dtype.kind not in "iufb":
        raise ValueError(
            "Argument `difficulty` must give one number for each of the "
            f"{samples} samples. Received: difficulty of shape {array.shape} "
            f"and dtype {array.dtype}"
        )
    array = array.astype("float64")
    wrong = ~np.isfinite(array)
    if wrong.any():
        where = int(np.argmax(wrong))
        raise ValueError(
            "Argument `difficulty` must be finite for every sample; remove "
            f"the samples or the cause. Received: difficulty[{where}]="
            f"{array[where]}, {int(wrong.sum())} such samples"
        )
    return array


def score_checksum(scores: np.ndarray) -> int:
    """Returns the CRC-32 of scores."""
    return zlib.crc32(np.ascontiguousarray(scores, "float64").tobytes())


def select_by_prefix(state: ScoreState, prefix: str) -> ScoreState:
    """Returns the arrays whose names have a prefix, without the prefix."""
    return {
        key.removeprefix(prefix): value
        for key, value in state.items()
        if key.startswith(prefix)
    }
