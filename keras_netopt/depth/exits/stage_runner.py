"""Runs stages one after another, re-batching the remaining samples."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from keras_netopt.depth.exits.exit_criteria import exit_scores
from keras_netopt.depth.exits.model_stages import (
    LOGITS,
    ModelStage,
    ModelStages,
)
from keras_netopt.training.present_flags import compile_for_flags

Arrays = dict[str, np.ndarray]
MIN_BATCH = 32
WINDOW = 16  # Batches whose remaining samples are re-batched together.
REPEATS = 3


@dataclass(frozen=True)
class ExitRule:
    """Exit criterion and thresholds.

    `thresholds` holds one score per exit: infinity disables the exit, minus
    infinity always exits. `is_probability` is `True` if the outputs are
    probabilities, `False` for logits.
    """

    criterion: str
    thresholds: tuple[float, ...]
    is_probability: bool

    def exit_mask(self, outputs: np.ndarray, exit_index: int) -> np.ndarray:
        """Returns which samples, rows of `outputs`, take an exit."""
        if exit_index == len(self.thresholds) - 1:
            return np.ones(len(outputs), bool)
        scores = exit_scores(outputs, self.criterion, self.is_probability)
        return np.asarray(scores >= self.thresholds[exit_index])


@dataclass
class StageRunner:
    """Runs each sample through as few stages as the exit rule allows.

    After each stage the samples that exit are removed and the remaining ones
    are re-batched, at most `batch_size` per call. Batches are padded to the
    next power of two (at least 32), so that few batch sizes are compiled.
    Predictions are in input order. `calls` counts the calls of each stage,
    `sizes` holds the batch sizes that it has seen.
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
        """Predicts all samples, arrays as for the model's `predict`.

        Returns the predictions, shape `(samples, classes)`, and the exit index
        of each sample, shape `(samples,)`.
        """
        inputs = {
            name: np.asarray(value)
            for name, value in self.stages.named_inputs(x).items()
        }
        with _hidden_retracing_notice():
            parts = [
                self._run_window(part) for part in _slices(inputs, self.window)
            ]
        predictions, exits = zip(*parts, strict=True)
        return np.concatenate(predictions), np.concatenate(exits)

    @property
    def window(self) -> int:
        """Number of samples whose features are in memory at a time."""
        return self.batch_size * WINDOW

    def _run_window(self, tensors: Arrays) -> tuple[np.ndarray, np.ndarray]:
        count = len(next(iter(tensors.values())))
        remaining = np.arange(count)
        exits: np.ndarray = np.zeros(count, "int64")
        predictions: np.ndarray | None = None
        for k, stage in enumerate(self.stages.stages):
            if not len(remaining):
                break
            compile_for_flags(stage.model, "predict_function")
            outputs = self._run_stage(k, stage, tensors)
            logits = outputs.pop(LOGITS)
            if predictions is None:
                predictions = np.empty((count, *logits.shape[1:]), logits.dtype)
            exiting = self.rule.exit_mask(logits, k)
            predictions[remaining[exiting]] = logits[exiting]
            exits[remaining[exiting]] = k
            remaining = remaining[~exiting]
            known = {**tensors, **outputs}
            tensors = {name: known[name][~exiting] for name in stage.live}
        if predictions is None:
            raise ValueError(
                "Argument `x` must hold at least one sample. Received: none"
            )
        return predictions, exits

    def _run_stage(self, k: int, stage: ModelStage, tensors: Arrays) -> Arrays:
        """Runs one stage on all remaining samples."""
        inputs = {name: tensors[name] for name in stage.inputs}
        parts = []
        for batch in _slices(inputs, self.batch_size):
            count = len(next(iter(batch.values())))
            size = padded_batch_size(count, self.batch_size)
            self.calls[k] += 1
            self.sizes[k].add(size)
            outputs = stage.model.predict_on_batch(
                {name: _pad(array, size) for name, array in batch.items()}
            )
            parts.append({n: np.asarray(a)[:count] for n, a in outputs.items()})
        return {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}


def padded_batch_size(count: int, limit: int) -> int:
    """Returns the next power of two, at least 32 and at most `limit`.

    The size is never below `count`, the number of samples.
    """
    power = 1 << max(count - 1, 0).bit_length()
    return max(count, min(max(MIN_BATCH, power), limit))


def time_stages(
    stages: Sequence[ModelStage],
    full: Callable[[Arrays], Any],
    inputs: Arrays,
    reach: Sequence[float],
    batch_size: int,
) -> tuple[float, float]:
    """Times all stages on the samples that reach them, and the full model.

    `full` calls the model without heads; `inputs` is one batch by name;
    `reach` is the share of samples that reaches each stage. Returns the
    seconds of all stages together, and those of the full model.
    """
    batch = {n: _pad(a[:batch_size], batch_size) for n, a in inputs.items()}
    tensors, total = batch, 0.0
    for stage, share in zip(stages, reach, strict=True):
        stage_inputs = {name: tensors[name] for name in stage.inputs}
        outputs = stage.model.predict_on_batch(stage_inputs)
        known = {**tensors, **{n: np.asarray(a) for n, a in outputs.items()}}
        count = int(np.ceil(batch_size * share))
        if count:
            size = padded_batch_size(count, batch_size)
            part = {name: array[:size] for name, array in stage_inputs.items()}
            total += _fastest(partial(stage.model.predict_on_batch, part))
        tensors = {name: known[name] for name in stage.live}
    return total, _fastest(partial(full, batch))


@contextlib.contextmanager
def _hidden_retracing_notice() -> Iterator[None]:
    """Hides TensorFlow's notice of many traces.

    It counts the traces of all Keras models together; several stages with a
    few batch sizes each exceed its limit as intended.
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


def _pad(array: np.ndarray, size: int) -> np.ndarray:
    """Repeats the first sample until the batch is full."""
    missing = size - len(array)
    if missing <= 0:
        return array
    return np.concatenate([array, np.repeat(array[:1], missing, axis=0)])
