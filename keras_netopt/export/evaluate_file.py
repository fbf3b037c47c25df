"""Measures a LiteRT file on labelled samples."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_integer
from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.export.evaluation_report import EvaluationReport
from keras_netopt.export.file_feeds import (
    encode_input,
    match_labels,
    match_names,
    run_batches,
)
from keras_netopt.export.label_scores import LabelScores

Scores = list[LabelScores | keras.metrics.Metric]


def evaluate(
    path: str | os.PathLike[str],
    x: Any,
    y: Any = None,
    *,
    metrics: Any = None,
    batch_size: int = 32,
) -> EvaluationReport:
    """Measures the accuracy or the errors of a LiteRT file.

    The interpreter runs the file on one thread. Quantized inputs and outputs
    are converted by their scales; inputs and outputs are matched by their
    names. Works on every backend.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from keras_netopt import export
    >>> export.evaluate("model.tflite", np.zeros((4, 8)), np.zeros(4))
    Traceback (most recent call last):
        ...
    FileNotFoundError: [Errno 2] No such file or directory: 'model.tflite'

    Args:
        path: A `.tflite` file.
        x: Inputs: an array of shape `(samples, ...)`, or a dict of arrays by
            the names of the inputs; or an iterable of batches `(x, y)` or
            `(x, y, sample_weight)`, such as a `tf.data.Dataset`, a
            `PyDataset` or a torch `DataLoader`. Integers of the dtype of a
            quantized input are passed as they are, all other numbers are
            quantized.
        y: Labels: class numbers from 0, one-hot rows, 0 and 1, or numbers;
            for several outputs a dict by their names, which may leave out
            some. `None` if `x` holds batches. Defaults to `None`.
        metrics: Metrics of Keras instead of the accuracy of classes or the
            mean squared and absolute errors of numbers: a name, a
            `keras.metrics.Metric`, a function of labels and outputs, a list
            of those, or a dict of such lists by output. "accuracy" is the
            default accuracy. Defaults to `None`.
        batch_size: Samples per call of a file with a free batch axis.
            Defaults to `32`.

    Returns:
        The report: metrics by output, and how the labels were read.

    Raises:
        ValueError: If the file is no LiteRT file, names or shapes do not fit,
            `x` or `y` hold NaN, or labels are out of range.
        TypeError: If an argument has the wrong type.
        OSError: If the file cannot be read.
        ImportError: If no LiteRT interpreter is installed.
    """
    check_integer(batch_size, "batch_size", minimum=1)
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            "Argument `path` must be a string or a path. "
            f"Received: path={path!r}"
        )
    lite = TfliteModel(path)
    scores: dict[str, Scores] = {}
    samples, nan_rows = 0, 0
    for inputs, labels, weights in _batches(x, y):
        given = match_names(inputs, list(lite.inputs), "x")
        feeds = {n: encode_input(lite.inputs[n], a) for n, a in given.items()}
        targets = match_labels(labels, list(lite.outputs))
        scores = scores or make_scores(metrics, list(targets))
        _check_lengths({**feeds, **{f"y {n}": a for n, a in targets.items()}})
        for rows, outputs in run_batches(lite, feeds, batch_size):
            share = None if weights is None else _part(weights, rows)
            nan_rows += _count_nan(outputs)
            for name, found in scores.items():
                for one in found:
                    update_score(one, targets[name][rows], outputs[name], share)
        samples += len(next(iter(feeds.values())))
    if not samples:
        raise ValueError(
            "Argument `x` must hold samples. "
            f"Received: x={type(x).__name__}, which yields no batch"
        )
    return _report(os.fspath(path), samples, scores, nan_rows)


def _batches(x: Any, y: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Yields inputs, labels and weights as arrays."""
    if y is not None:
        items: Any = [(x, y)]
    elif isinstance(x, keras.utils.PyDataset):
        items = (x[k] for k in range(len(x)))
    elif isinstance(x, Mapping | str) or hasattr(x, "shape"):
        raise ValueError(
            "Argument `y` must be given for arrays. Received: y=None. Pass "
            "the labels, or an iterable of batches `(x, y)` as `x`."
        )
    elif not hasattr(x, "__iter__"):
        raise TypeError(
            "Argument `x` must be arrays or an iterable of batches `(x, y)`. "
            f"Received: x of type {type(x).__name__}"
        )
    else:
        items = [x] if _is_pair(x) else x
    for item in items:
        parts = keras.utils.unpack_x_y_sample_weight(item)
        yield tuple(map(_to_arrays, parts))


def _is_pair(x: Any) -> bool:
    """Whether the tuple `(x, y)` of a whole data set was passed as `x`."""
    return isinstance(x, tuple) and len(x) in (2, 3) and hasattr(x[1], "shape")


def _to_arrays(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _to_arrays(one) for name, one in value.items()}
    if keras.ops.is_tensor(value):
        return np.asarray(keras.ops.convert_to_numpy(value))
    if hasattr(value, "detach"):  # torch's, on another backend.
        return value.detach().cpu().numpy()
    return value


def _check_lengths(arrays: dict[str, np.ndarray]) -> None:
    lengths = {
        name: len(array) if array.ndim else 0 for name, array in arrays.items()
    }
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise ValueError(
            "Arguments `x` and `y` must hold equally many samples, at least "
            f"one. Received: lengths {lengths}"
        )


def _part(weights: Any, rows: slice) -> np.ndarray:
    array = np.asarray(weights)
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise ValueError(
            "The sample weights must be finite numbers. "
            f"Received: dtype {array.dtype}"
        )
    part: np.ndarray = array[rows]
    return part


def _count_nan(outputs: dict[str, np.ndarray]) -> int:
    bad = [
        np.isnan(array.reshape(len(array), -1)).any(1)
        for array in outputs.values()
        if array.dtype.kind == "f"
    ]
    return int(np.any(bad, axis=0).sum()) if bad else 0


def make_scores(
    metrics: Any, names: list[str], argument: str = "metrics"
) -> dict[str, Scores]:
    """Returns the metrics of each output that has labels.

    Messages of errors call the value `argument`.
    """
    if metrics is None:
        return {name: [LabelScores(name)] for name in names}
    if not isinstance(metrics, Mapping):
        if len(names) > 1:
            raise ValueError(
                f"Argument `{argument}` must be a dict by the outputs "
                f"{names}. Received: {argument}={metrics!r}"
            )
        metrics = {names[0]: metrics}
    if not metrics or not set(metrics) <= set(names):
        raise ValueError(
            f"Argument `{argument}` must have the outputs {names} as keys. "
            f"Received: keys {list(metrics)}"
        )
    return {
        name: [
            _make_score(one, name, argument)
            for one in _as_list(found, argument)
        ]
        for name, found in metrics.items()
    }


def _as_list(value: Any, argument: str) -> list[Any]:
    if isinstance(value, list | tuple):
        if not value:
            raise ValueError(
                f"Argument `{argument}` must hold at least one metric. "
                f"Received: {argument}={value!r}"
            )
        return list(value)
    return [value]


def _make_score(
    metric: Any, output: str, argument: str
) -> LabelScores | keras.metrics.Metric:
    if metric in ("accuracy", "acc"):
        return LabelScores(output)
    try:
        found = keras.metrics.get(metric)
    except ValueError as error:
        raise ValueError(
            f"Argument `{argument}` must hold names of Keras metrics, metrics "
            f"or functions. Received: {argument}={metric!r}"
        ) from error
    if isinstance(found, keras.metrics.Metric):
        found.reset_state()
        return found
    if not callable(found):
        raise TypeError(
            f"Argument `{argument}` must hold names of Keras metrics, metrics "
            f"or functions. Received: {argument}={metric!r}"
        )
    name = getattr(found, "__name__", None)
    return keras.metrics.MeanMetricWrapper(found, name=name)


def update_score(
    score: LabelScores | keras.metrics.Metric,
    labels: np.ndarray,
    outputs: np.ndarray,
    weights: np.ndarray | None,
) -> None:
    """Adds a batch to the score of an output."""
    if isinstance(score, LabelScores):
        score.update(labels, outputs, weights)
    else:
        score.update_state(labels, outputs, sample_weight=weights)


def _report(
    path: str, samples: int, scores: dict[str, Scores], nan_rows: int
) -> EvaluationReport:
    metrics: dict[str, dict[str, float]] = {}
    labels, notes = {}, []
    for name, found in scores.items():
        metrics[name] = {}
        for one in found:
            if isinstance(one, LabelScores):
                labels[name], values, note = one.result()
                metrics[name] |= values
                notes += [note] if note else []
            else:
                metrics[name][one.name] = float(one.result())
    if nan_rows:
        notes.append(f"The outputs of {nan_rows:,} samples hold NaN.")
    return EvaluationReport(path, samples, metrics, labels, tuple(notes))
