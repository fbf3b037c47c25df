"""Difficulties that a model tells: losses and confidence."""

from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_choice, check_model
from keras_netopt.curriculum.dataset_adapters import as_source
from keras_netopt.curriculum.difficulty import (
    Difficulty,
    Scoring,
    checked_scores,
)
from keras_netopt.curriculum.labels import class_values
from keras_netopt.training.randomness import preserve_random_state
from keras_netopt.training.sample_loss import sample_loss

PREDICT_BATCH = 256


class ModelLoss(Difficulty):
    """The loss of the model being trained: `difficulty="loss"`."""

    name = "loss"
    follows_training = True

    def score(self, scoring: Scoring) -> np.ndarray:
        """Returns the loss of each sample as the model is now."""
        return model_losses(scoring.needed_model(self.name), scoring)


class Teacher(Difficulty):
    """What another, trained model thinks of each sample, scored once.

    A teacher that was trained on data held out tells wrong labels apart; one
    that has fitted the same labels does not.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from keras_netopt.curriculum.difficulty import Scoring
    >>> from keras_netopt.curriculum.sources import ArraySource
    >>> ones = keras.layers.Dense(1, kernel_initializer="ones")
    >>> model = keras.Sequential([keras.Input((1,)), ones])
    >>> model.compile(loss="mae")
    >>> source = ArraySource(np.array([[1.0], [2.0]]), np.array([[1.0], [5.0]]))
    >>> Teacher(model).score(Scoring(source, None, {}))
    array([0., 3.])

    Args:
        model: A trained model; for losses compiled with the loss to use.
        by: "loss", or "confidence": 1 minus the probability that it gives to
            the class of the sample. Defaults to `"loss"`.

    Raises:
        TypeError: If `model` is not a Keras model.
        ValueError: If it is not built, or `by` is not known.

    Reference:
        Hacohen and Weinshall, "On the power of curriculum learning in
        training deep networks", 2019, https://arxiv.org/abs/1904.03626.
    """

    name = "teacher"
    costly = True

    def __init__(self, model: keras.Model, by: str = "loss"):
        check_model(model)
        check_choice(by, "by", ("loss", "confidence"))
        self.model = model
        self.by = by

    def __deepcopy__(self, memo: dict[int, Any]) -> "Teacher":
        """A frozen teacher need not be copied for each trial of a tuner."""
        return self

    def score(self, scoring: Scoring) -> np.ndarray:
        """Returns the teacher's loss or lack of confidence."""
        if self.by == "loss":
            return model_losses(self.model, scoring)
        found = []
        for _, (x, y, _) in scoring.chunks():
            likely = probabilities(predicted(self.model, x))
            found.append(1.0 - _of_class(likely, y))
        return _per_unit(found, scoring)


def sample_losses(
    model: keras.Model, x: Any, y: Any = None, *, verbose: int = 0
) -> np.ndarray:
    """Returns the loss of each sample, in the order of the data.

    Losses of tokens or pixels are averaged, those of several outputs added
    with their loss weights. Regularizers belong to no sample.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> ones = keras.layers.Dense(1, kernel_initializer="ones")
    >>> model = keras.Sequential([keras.Input((1,)), ones])
    >>> model.compile(loss="mse")
    >>> sample_losses(model, np.array([[1.0], [2.0]]), np.array([1.0, 5.0]))
    array([0., 9.])

    Args:
        model: A compiled, built model.
        x: Inputs, or a data set with inputs and targets.
        y: Targets where `x` is arrays. Defaults to `None`.
        verbose: 1 shows a progress bar. Defaults to `0`.

    Returns:
        Float64 array of shape `(samples,)`; for a `PyDataset` the mean of
        each batch.

    Raises:
        TypeError: If `model` is not a Keras model or `x` cannot be indexed.
        ValueError: If the model is not built or compiled with a loss, the
            loss has no value for each sample, or lengths differ.
    """
    check_model(model)
    scoring = Scoring(as_source(x, y), model, {}, verbose)
    return model_losses(model, scoring)


def model_losses(model: keras.Model, scoring: Scoring) -> np.ndarray:
    """Returns the loss of each sample under the compiled loss of a model."""
    found = []
    for _, (x, y, _) in scoring.chunks():
        losses = sample_loss(model, y, _float32(predicted(model, x)))
        array = np.asarray(keras.ops.convert_to_numpy(losses))
        found.append(array.astype("float64"))
    return _per_unit(found, scoring)


def probabilities(answers: Any) -> np.ndarray:
    """Returns class probabilities for probabilities or logits.

    Example:

    >>> import numpy as np
    >>> probabilities(np.array([[0.25, 0.75]]))
    array([[0.25, 0.75]])
    >>> probabilities(np.array([[0.0], [9.0]])).round(3)
    array([[0.5, 0.5],
           [0. , 1. ]])

    Args:
        answers: Outputs of shape `(batch, classes)`, or `(batch, 1)` for
            two classes.

    Raises:
        ValueError: If they have another shape.
    """
    if keras.tree.is_nested(answers) or np.ndim(answers) != 2:
        raise ValueError(
            "Argument `difficulty` by classes needs a model with one output "
            "of shape (batch, classes). Received: output of shape "
            f"{keras.tree.map_structure(np.shape, answers)}"
        )
    array = np.asarray(answers, "float64")
    inside = ((array >= 0.0) & (array <= 1.0)).all()
    if array.shape[1] == 1:
        likely = array if inside else 1.0 / (1.0 + np.exp(-array))
        return np.concatenate([1.0 - likely, likely], axis=1)
    if inside and np.allclose(array.sum(axis=1), 1.0, atol=1e-3):
        return array
    array = np.exp(array - array.max(axis=1, keepdims=True))
    return array / array.sum(axis=1, keepdims=True)


def classes_of(y: Any) -> np.ndarray:
    """Returns the class numbers of a batch, or says that there are none."""
    values = class_values(y)
    if values is None:
        raise ValueError(
            "Argument `difficulty` by classes needs targets that are classes: "
            "integers of shape (samples,) or one-hot rows. Received: y of "
            f"shape {keras.tree.map_structure(np.shape, y)}"
        )
    return values


def _of_class(likely: np.ndarray, y: Any) -> np.ndarray:
    return likely[np.arange(len(likely)), classes_of(y)]


def predicted(model: keras.Model, x: Any) -> Any:
    """Returns a model's answers; a training under way does not notice."""
    with preserve_random_state():
        return model.predict(x, batch_size=PREDICT_BATCH, verbose=0)


def _float32(answers: Any) -> Any:
    return keras.tree.map_structure(
        lambda leaf: np.asarray(leaf, "float32"), answers
    )


def _per_unit(found: list[np.ndarray], scoring: Scoring) -> np.ndarray:
    if scoring.source.unit == "batch":
        found = [np.array([part.mean()]) for part in found]
    return checked_scores(np.concatenate(found), scoring.source.samples)
