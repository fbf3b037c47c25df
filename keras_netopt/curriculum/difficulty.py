"""What makes a sample hard: the first of the three axes."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.curriculum.sources import Fetched, Source

CHUNK = 2048
State = dict[str, np.ndarray]


@dataclass(frozen=True)
class Scoring:
    """What a difficulty may look at.

    Args:
        source: The training data.
        model: The model being trained, or `None` outside of a fit.
        state: Arrays that a difficulty keeps from one time to the next; they
            survive a crash.
        verbose: 1 shows a progress bar. Defaults to `0`.
    """

    source: Source
    model: Any
    state: State
    verbose: int = 0

    def chunks(self) -> Iterator[tuple[np.ndarray, Fetched]]:
        """Yields the ids and the samples of all data in order."""
        size = 1 if self.source.unit == "batch" else CHUNK
        bar = progress_bar(self.source.samples, self.verbose)
        for start in range(0, self.source.samples, size):
            ids = np.arange(start, min(start + size, self.source.samples))
            yield ids, self.source.fetch(ids)
            bar.add(len(ids))

    def needed_model(self, name: str) -> keras.Model:
        """Returns the model, or says that there is none yet."""
        if self.model is None:
            raise ValueError(
                f"Argument `difficulty` {name!r} needs the model being "
                "trained: there are no scores before `fit`. "
                "Received: model=None"
            )
        model: keras.Model = self.model
        return model


class Difficulty:
    """Base of the difficulties: numbers, larger is harder.

    `follows_training` says that scores change with the model being trained,
    `costly` that they are worth keeping in a checkpoint.
    """

    follows_training = False
    costly = False
    name = "difficulty"

    @property
    def needs_model(self) -> bool:
        """Whether scores depend on the model being trained."""
        return self.follows_training

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def score(self, scoring: Scoring) -> np.ndarray:
        """Returns the score of each sample, float64 of shape `(samples,)`.

        Args:
            scoring: What there is to look at.

        Raises:
            NotImplementedError: If a subclass does not say how.
        """
        raise NotImplementedError(
            f"`{type(self).__name__}` must override `score`."
        )


class Given(Difficulty):
    """Scores that the user has.

    Args:
        scores: One number for each sample.
    """

    name = "array"

    def __init__(self, scores: Any):
        self.scores = np.asarray(scores)

    def score(self, scoring: Scoring) -> np.ndarray:
        """Returns the scores."""
        return checked_scores(self.scores, scoring.source.samples)


class Computed(Difficulty):
    """Scores that a function of the user's makes of a batch, once.

    Args:
        function: `(x, y) -> scores of shape (batch,)`.
    """

    name = "callable"

    def __init__(self, function: Any):
        self.function = function

    def score(self, scoring: Scoring) -> np.ndarray:
        """Calls the function in the order of the samples."""
        found: list[np.ndarray] = []
        for ids, (x, y, _) in scoring.chunks():
            part = np.asarray(keras.ops.convert_to_numpy(self.function(x, y)))
            if scoring.source.unit == "batch" and part.size != 1:
                part = part.mean()
            if scoring.source.unit == "sample" and part.shape != (len(ids),):
                raise ValueError(
                    "Argument `difficulty` must be a function that returns "
                    f"one number for each of the {len(ids)} samples given. "
                    f"Received: an array of shape {part.shape}"
                )
            found.append(np.reshape(part, -1))
        return checked_scores(np.concatenate(found), scoring.source.samples)


class Several(Difficulty):
    """Several difficulties at once: hard by one of them is hard.

    A sample is in play when it is inside the fraction of every metric.

    Args:
        parts: The difficulties.
    """

    name = "several"

    def __init__(self, parts: Sequence[Difficulty]):
        self.parts = tuple(parts)
        self.follows_training = any(p.follows_training for p in self.parts)
        self.costly = any(p.costly for p in self.parts)

    @property
    def needs_model(self) -> bool:
        """Whether one of them depends on the model being trained."""
        return any(part.needs_model for part in self.parts)

    def score(self, scoring: Scoring) -> np.ndarray:
        """Returns the largest of the ranks, in (0, 1]."""
        ranks: list[np.ndarray] = []
        for number, part in enumerate(self.parts):
            own = _within(scoring.state, f"{number}.")
            view = Scoring(scoring.source, scoring.model, own, scoring.verbose)
            ranks.append(ranked(part.score(view)))
            changed = {f"{number}.{k}": v for k, v in own.items()}
            scoring.state.update(changed)
        return np.stack(ranks).max(axis=0)


def ranked(scores: np.ndarray) -> np.ndarray:
    """Returns the share of samples that are not harder, in (0, 1].

    Example:

    >>> ranked(np.array([5.0, 1.0, 1.0, 9.0]))
    array([0.75, 0.5 , 0.5 , 1.  ])

    Args:
        scores: Any finite numbers.
    """
    places: Any = np.searchsorted(np.sort(scores), scores, "right")
    return places / len(scores)


def checked_scores(scores: Any, samples: int) -> np.ndarray:
    """Returns finite float64 scores, or says what is wrong with them.

    Args:
        scores: What should be one number for each sample.
        samples: How many there are.

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


def checksum(scores: np.ndarray) -> int:
    """Returns a number that tells two tables of scores apart."""
    return zlib.crc32(np.ascontiguousarray(scores, "float64").tobytes())


def progress_bar(total: int, verbose: int, unit: str = "sample") -> Any:
    """Returns a bar with `add`, silent unless asked for."""
    if not verbose:
        return _Silent()
    return keras.utils.Progbar(total, verbose=verbose, unit_name=unit)


class _Silent:
    def add(self, count: int) -> None:
        """Shows nothing."""


def _within(state: State, prefix: str) -> State:
    return {
        key.removeprefix(prefix): value
        for key, value in state.items()
        if key.startswith(prefix)
    }
