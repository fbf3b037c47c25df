"""How much noise in one column's layer a task bears."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.distillation.output_form import OutputForm
from keras_netopt.progressive.fisher_sensitivity import describe_outputs
from keras_netopt.progressive.lateral_reads import LateralRead, changed_inputs
from keras_netopt.training.backend import without_gradients

Performance = Callable[[Any, Any], float]
# Standard deviations of the noise, in those of a channel.
LEAST, MOST = 2.0**-7, 2.0**10
HALVINGS = 8


def perturbation_values(
    model: keras.Model,
    reads: Sequence[LateralRead],
    x: Any,
    y: Any,
    activations: Sequence[Sequence[np.ndarray]],
    *,
    performance: Performance | None,
    seed: int,
) -> list[np.ndarray]:
    """Returns the precision of the noise that halves the performance.

    The inverse of its variance, in variances of the channel; 0 where no noise
    does. Half way is between the performance and that of outputs exchanged
    between the samples, so that guessing counts as none.

    Args:
        model: The model of the task.
        reads: Its lateral connections.
        x: Inputs of one batch.
        y: Targets of the batch.
        activations: Value of each input of each read on the batch.
        performance: As in `sensitivity`.
        seed: Seed of the noise.

    Raises:
        ValueError: If the performance is no better than that of guessing.
    """
    measure = performance or find_performance(model)

    def outputs() -> Any:
        with without_gradients():
            found = model(x, training=False)
        return keras.tree.map_structure(ops.convert_to_numpy, found)

    predicted = outputs()
    generator = np.random.default_rng(seed)
    count = len(keras.tree.flatten(predicted)[0])
    order = generator.permutation(count)
    guessed = keras.tree.map_structure(lambda one: one[order], predicted)
    best, floor = float(measure(y, predicted)), float(measure(y, guessed))
    if not best > floor:
        raise ValueError(
            "Argument `model` must perform better than outputs exchanged "
            "between the samples, where noise is to halve the performance. "
            "Train the task, or pass more samples. "
            f"Received: performance {best:.4g} against {floor:.4g}"
        )
    half = (best + floor) / 2
    found = []
    for read, values in zip(reads, activations, strict=True):
        row = []
        for place, value in enumerate(values):
            # The same noise at every strength makes the performance smooth.
            noise = generator.normal(size=value.shape)
            noise = (noise * read.scale_channels(value)).astype("float32")

            def falls(
                strength: float,
                read: LateralRead = read,
                place: int = place,
                noise: np.ndarray = noise,
            ) -> bool:
                change = _add(place, strength * noise)
                with changed_inputs([read], [change]):
                    return float(measure(y, outputs())) < half

            row.append(_find_precision(falls))
        found.append(np.array(row))
    return found


def find_performance(model: keras.Model) -> Performance:
    """Returns the accuracy of a classifier with one output.

    Raises:
        ValueError: If the model is none.
    """
    forms = describe_outputs(model)
    kind = forms[0].own_kind if len(forms) == 1 else None
    if kind not in ("softmax", "sigmoid"):
        raise ValueError(
            "Argument `performance` must be a function of the targets and the "
            "outputs, larger for better ones, for a model that is no "
            "classifier with one output and a compiled loss. "
            "Received: performance=None"
        )
    return _make_accuracy(forms[0])


def _make_accuracy(form: OutputForm) -> Performance:
    def accuracy(y: Any, predicted: Any) -> float:
        labels, outputs = np.asarray(y), np.asarray(predicted)
        if form.own_kind == "sigmoid":
            limit = 0.0 if form.are_logits() else 0.5
            right = (outputs > limit) == (labels.reshape(outputs.shape) > 0.5)
            return float(right.mean())
        classes = outputs.argmax(axis=-1)
        if labels.shape == outputs.shape:
            labels = labels.argmax(axis=-1)
        return float((labels.reshape(classes.shape) == classes).mean())

    return accuracy


def _add(place: int, noise: np.ndarray) -> Callable[[list[Any]], list[Any]]:
    def change(inputs: list[Any]) -> list[Any]:
        changed = inputs[place] + ops.cast(noise, inputs[place].dtype)
        return [*inputs[:place], changed, *inputs[place + 1 :]]

    return change


def _find_precision(falls: Callable[[float], bool]) -> float:
    if not falls(MOST):
        return 0.0
    low, high = LEAST, MOST
    for _ in range(HALVINGS):
        middle = (low * high) ** 0.5
        if falls(middle):
            high = middle
        else:
            low = middle
    return 1.0 / high**2
