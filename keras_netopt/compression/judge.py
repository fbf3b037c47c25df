"""Judges files by one metric on the validation data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.checks import check_choice
from keras_netopt.compression.training_data import (
    as_arrays,
    check_end,
    iter_once,
    name_inputs,
)
from keras_netopt.export.evaluate_file import (
    evaluate,
    make_scores,
    update_score,
)
from keras_netopt.export.file_feeds import match_labels
from keras_netopt.export.label_scores import LabelScores
from keras_netopt.training.present_flags import compile_for_flags

MODES = ("auto", "min", "max")
BATCH_SIZE = 256
FALLING = ("loss", "error", "mse", "mae", "mape", "msle", "perplexity")


@dataclass(frozen=True, eq=False)
class Judge:
    """Measures the metric of a file, and how far it is below the original.

    Args:
        batches: Validation batches `(x, y)` or `(x, y, sample_weight)`.
        names: Names of the inputs in the file.
        metric: As `metrics` of `export.evaluate`, or `None`.
        mode: "min", "max" or "auto".
    """

    batches: Any
    names: tuple[str, ...]
    metric: Any = None
    mode: str = "auto"

    @classmethod
    def create(
        cls,
        validation_data: Any,
        names: tuple[str, ...],
        metric: Any,
        mode: str,
    ) -> "Judge":
        """Checks the arguments of `compress` and creates the judge."""
        check_choice(mode, "mode", MODES)
        if isinstance(metric, list | tuple):
            raise TypeError(
                "Argument `metric` must be one metric. "
                f"Received: metric={metric!r}"
            )
        return cls(_as_batches(validation_data), names, metric, mode)

    def score(self, path: str) -> tuple[str, float]:
        """Returns the name and the value of the metric of a file."""
        report = evaluate(path, self._named(), metrics=self.metric)
        return self._choose(report.metrics)

    def score_model(self, model: keras.Model) -> tuple[str, float]:
        """Returns the same of a Keras model."""
        scores: Any = {}
        compile_for_flags(model, "predict_function")
        for item in _iterate(self.batches):
            x, y, weights = keras.utils.unpack_x_y_sample_weight(item)
            outputs = model.predict(x, verbose=0, batch_size=BATCH_SIZE)
            named = _name_outputs(outputs)
            labels = match_labels(y, list(named))
            scores = scores or make_scores(self.metric, list(labels), "metric")
            for name, found in scores.items():
                update_score(found[0], labels[name], named[name], weights)
        return self._choose(
            {name: _read(found[0]) for name, found in scores.items()}
        )

    def _choose(
        self, metrics: Mapping[str, Mapping[str, float]]
    ) -> tuple[str, float]:
        """Returns the first metric of the only output that has one."""
        found = [
            (f"{output} {name}" if len(metrics) > 1 else name, value)
            for output, values in metrics.items()
            for name, value in list(values.items())[:1]
        ]
        if len(found) != 1:
            raise ValueError(
                "Argument `metric` must name one metric of one output, as in "
                'metric={"output": "accuracy"}, for a model with several '
                f"outputs. Received: metric={self.metric!r}, which gives "
                f"{[name for name, _ in found]}"
            )
        return found[0]

    def drop(self, name: str, original: float, value: float) -> float:
        """Returns by how much a value is worse than the original's."""
        return value - original if self.falls(name) else original - value

    def falls(self, name: str) -> bool:
        """Whether lower values of the metric are better."""
        if self.mode != "auto":
            return self.mode == "min"
        words = name.lower().replace("_", " ").split()
        return any(word in FALLING for word in words)

    def _named(self) -> Any:
        for item in _iterate(self.batches):
            x, *rest = item
            yield (name_inputs(x, self.names), *rest)


def _as_batches(data: Any) -> Any:
    if data is None:
        raise ValueError(
            "Argument `validation_data` must be given: files are judged by "
            "it. Received: validation_data=None"
        )
    if isinstance(data, tuple) and len(data) in (2, 3):
        return [tuple(as_arrays(part) for part in data)]
    is_batches = hasattr(data, "__iter__") and not hasattr(data, "shape")
    if isinstance(data, Mapping | str) or not (
        is_batches or isinstance(data, keras.utils.PyDataset)
    ):
        raise TypeError(
            "Argument `validation_data` must be `(x, y)`, "
            "`(x, y, sample_weight)` or a data set of such batches. "
            f"Received: validation_data of type {type(data).__name__}"
        )
    if iter_once(data):
        raise ValueError(
            "Argument `validation_data` must be data that can be read several "
            "times. Received: validation_data of type "
            f"{type(data).__name__}, which is used up"
        )
    check_end(data, "validation_data")
    return data


def _iterate(data: Any) -> Any:
    if isinstance(data, keras.utils.PyDataset):
        return (data[k] for k in range(len(data)))
    return iter(data)


def _name_outputs(outputs: Any) -> dict[str, Any]:
    """Returns the outputs by the names that they have in a file."""
    if isinstance(outputs, Mapping):
        return dict(outputs)
    flat = keras.tree.flatten(outputs)
    return {f"output_{k}": array for k, array in enumerate(flat)}


def _read(score: Any) -> dict[str, float]:
    if isinstance(score, LabelScores):
        return dict(score.result()[1])
    return {score.name: float(score.result())}
