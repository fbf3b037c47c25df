"""Runs stages one after another on the samples that are still there."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from keras_netopt.depth.exits.confidence import scores
from keras_netopt.depth.exits.stages import LOGITS, ModelStage, ModelStages

Arrays = dict[str, np.ndarray]
SMALLEST = 32
WINDOW = 16  # Batches whose survivors are put together.
REPEATS = 3


@dataclass(frozen=True)
class ExitRule:
    """When an answer is sure enough.

    Args:
        criterion: "confidence", "entropy" or "margin".
        thresholds: The score that is enough, an exit.
        is_probability: Whether the answers are no logits.
    """

    criterion: str
    thresholds: tuple[float, ...]
    is_probability: bool

    def leaves(self, answers: np.ndarray, exit_index: int) -> np.ndarray:
        """Tells which samples leave at an exit.

        Args:
            answers: Shape `(samples, classes)`.
            exit_index: The exit.

        Returns:
            Booleans of shape `(samples,)`.
        """
        if exit_index == len(self.thresholds) - 1:
            return np.ones(len(answers), bool)
        sure = scores(answers, self.criterion, self.is_probability)
        return np.asarray(sure >= self.thresholds[exit_index])


@dataclass
class Runner:
    """Answers with as few stages as each sample needs.

    After each stage the samples that leave are taken out and the others
    moved together; batches are filled up to the next power of two (at least
    32), so that few batch sizes are ever compiled. Answers come in the order
    of the input.

    Args:
        stages: The stages.
        rule: When to leave.
        batch_size: Samples a call at most. Defaults to `256`.
        calls: How often each stage has been called. Made by itself.
        sizes: The batch sizes that each stage has seen. Made by itself.
    """

    stages: ModelStages
    rule: ExitRule
    batch_size: int = 256
    calls: list[int] = field(default_factory=list)
    sizes: list[set[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        count = len(self.stages.stages)
        self.calls = [0] * count
        self.sizes = [set() for _ in range(count)]

    def run(self, x: Any) -> tuple[np.ndarray, np.ndarray]:
        """Answers all samples.

        Args:
            x: Arrays as the model takes them.

        Returns:
            The answers, shape `(samples, classes)`, and the exit of each
            sample, shape `(samples,)`.
        """
        feeds = {
            name: np.asarray(value)
            for name, value in self.stages.feeds(x).items()
        }
        with _without_notice():
            parts = [self._window(part) for part in _slices(feeds, self.window)]
        answers, exits = zip(*parts, strict=True)
        return np.concatenate(answers), np.concatenate(exits)

    @property
    def window(self) -> int:
        """Samples whose features are held at a time."""
        return self.batch_size * WINDOW

    def _window(self, held: Arrays) -> tuple[np.ndarray, np.ndarray]:
        count = len(next(iter(held.values())))
        order = np.arange(count)
        exits: np.ndarray = np.zeros(count, "int64")
        answers: np.ndarray | None = None
        for k, stage in enumerate(self.stages.stages):
            if not len(order):
                break
            made = self._stage(k, stage, held)
            found = made.pop(LOGITS)
            if answers is None:
                answers = np.empty((count, *found.shape[1:]), found.dtype)
            leaving = self.rule.leaves(found, k)
            answers[order[leaving]] = found[leaving]
            exits[order[leaving]] = k
            staying = ~leaving
            order = order[staying]
            known = {**held, **made}
            held = {name: known[name][staying] for name in stage.live}
        if answers is None:
            raise ValueError(
                "Argument `x` must hold at least one sample. Received: none"
            )
        return answers, exits

    def _stage(self, k: int, stage: ModelStage, held: Arrays) -> Arrays:
        """Runs one stage on all samples that have reached it."""
        reads = {name: held[name] for name in stage.inputs}
        parts = []
        for batch in _slices(reads, self.batch_size):
            count = len(next(iter(batch.values())))
            size = padded(count, self.batch_size)
            self.calls[k] += 1
            self.sizes[k].add(size)
            made = stage.model.predict_on_batch(
                {name: _fill(array, size) for name, array in batch.items()}
            )
            parts.append({n: np.asarray(a)[:count] for n, a in made.items()})
        return {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}


def padded(count: int, limit: int) -> int:
    """The size to which a batch is filled up.

    Example:

    >>> [padded(count, 256) for count in (1, 33, 200, 256)]
    [32, 64, 256, 256]

    Args:
        count: Samples in the batch.
        limit: The largest size of a batch.

    Returns:
        The next power of two, at least 32 and at most `limit`; never less
        than `count`.
    """
    power = 1 << max(count - 1, 0).bit_length()
    return max(count, min(max(SMALLEST, power), limit))


def stage_seconds(
    stages: Sequence[ModelStage],
    full: Callable[[Arrays], Any],
    feeds: Arrays,
    reach: Sequence[float],
    batch_size: int,
) -> tuple[float, float]:
    """Times all stages, each with the samples that reach it, and one full pass.

    Args:
        stages: The stages.
        full: The whole model without heads, called with named inputs.
        feeds: One batch of inputs, by name.
        reach: The share of samples that reaches each stage.
        batch_size: Samples a batch.

    Returns:
        Seconds for all stages together, and for the full pass.
    """
    whole = {n: _fill(a[:batch_size], batch_size) for n, a in feeds.items()}
    held, total = whole, 0.0
    for stage, share in zip(stages, reach, strict=True):
        made = stage.model.predict_on_batch(
            {name: held[name] for name in stage.inputs}
        )
        known = {**held, **{n: np.asarray(a) for n, a in made.items()}}
        count = int(np.ceil(batch_size * share))
        if count:
            size = padded(count, batch_size)
            part = {name: held[name][:size] for name in stage.inputs}
            total += _fastest(partial(stage.model.predict_on_batch, part))
        held = {name: known[name] for name in stage.live}
    return total, _fastest(partial(full, whole))


@contextlib.contextmanager
def _without_notice() -> Iterator[None]:
    """Hides TensorFlow's notice of many traces.

    It counts those of all Keras models together, and here are several models
    with a few batch sizes each, which is as intended.
    """
    logger = logging.getLogger("tensorflow")

    def is_other(record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()

    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)


def _fastest(call: Callable[[], Any]) -> float:
    call()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def _slices(arrays: Arrays, size: int) -> Iterator[Arrays]:
    count = len(next(iter(arrays.values())))
    for start in range(0, max(count, 1), size):
        yield {n: a[start : start + size] for n, a in arrays.items()}


def _fill(array: np.ndarray, size: int) -> np.ndarray:
    """Repeats the first sample until the batch is full."""
    missing = size - len(array)
    if missing <= 0:
        return array
    return np.concatenate([array, np.repeat(array[:1], missing, axis=0)])
