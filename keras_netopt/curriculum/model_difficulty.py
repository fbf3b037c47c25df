"""Difficulty scores from a model: loss and confidence."""

from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_choice
from keras_netopt.curriculum.class_labels import class_values
from keras_netopt.curriculum.dataset_adapters import as_sample_source
from keras_netopt.curriculum.difficulty import (
    Difficulty,
    ScoringContext,
)
from keras_netopt.graph.check_model import check_model
from keras_netopt.training.masked_losses import (
    has_masked_outputs,
    masked_losses,
)
from keras_netopt.training.present_flags import compile_for_flags
from keras_netopt.training.randomness import preserve_random_state
from keras_netopt.training.sample_loss import sample_loss

PREDICT_BATCH = 256


class ModelLoss(Difficulty):
    """The loss of the model being trained: `difficulty="loss"`."""

    name = "loss"
    dynamic = True

    def score(self, context: ScoringContext) -> np.ndarray:
        """Returns the loss of each sample under the current weights."""
        return model_losses(context.require_model(self.name), context)


class Teacher(Difficulty):
    """Scores each sample once by the loss of another, trained model.

    Known as transfer scoring or transfer teacher. A teacher trained on
    held-out data gives wrong labels a high score; a teacher that has fitted
    the same labels does not.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from keras_netopt.curriculum.difficulty import ScoringContext
    >>> from keras_netopt.curriculum.sample_source import ArraySource
    >>> ones = keras.layers.Dense(1, kernel_initializer="ones")
    >>> model = keras.Sequential([keras.Input((1,)), ones])
    >>> model.compile(loss="mae")
    >>> source = ArraySource(np.array([[1.0], [2.0]]), np.array([[1.0], [5.0]]))
    >>> Teacher(model).score(ScoringContext(source, None, {}))
    array([0., 3.])

    Args:
        model: A trained model; for `score_by="loss"` compiled with a loss.
        score_by: "loss", or "confidence": 1 minus the probability of
            the class of the sample. Defaults to `"loss"`.

    Raises:
        TypeError: If `model` is not a Keras model.
        ValueError: If it is not built, or `score_by` is not known.

    Reference:
        Hacohen and Weinshall, "On the power of curriculum learning in
        training deep networks", 2019, https://arxiv.org/abs/1904.03626.
    """

    name = "teacher"
    expensive = True

    def __init__(self, model: keras.Model, score_by: str = "loss"):
        check_model(model)
        check_choice(score_by, "score_by", ("loss", "confidence"))
        self.model = model
        self.score_by = score_by

    def __deepcopy__(self, memo: dict[int, Any]) -> "Teacher":
        """Returns itself: the trials of a tuner share the trained model."""
        return self

    def score(self, context: ScoringContext) -> np.ndarray:
        """Returns the loss of the teacher, or 1 minus its confidence."""
        if self.score_by == "loss":
            return model_losses(self.model, context)
        found = []
        for _, (x, y, _) in context.chunks():
            probability = to_probabilities(predict_undisturbed(self.model, x))
            found.append(1.0 - _of_class(probability, y))
        return context.scores_per_unit(found)


def sample_losses(
    model: keras.Model, x: Any, y: Any = None, *, verbose: int = 0
) -> np.ndarray:
    """Returns the loss of each sample, in the order of the data.

    Losses of tokens or pixels are averaged, masked ones left out. Losses of
    several outputs are added with their loss weights. Regularization losses
    are left out.

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
        y: Targets, if `x` is arrays. Defaults to `None`.
        verbose: 1 shows a progress bar. Defaults to `0`.

    Returns:
        Float64 array of shape `(samples,)`; for a `PyDataset` the mean loss
        of each batch.

    Raises:
        TypeError: If `model` is not a Keras model or `x` cannot be indexed.
        ValueError: If the model is not built or compiled with a loss, the
            loss has no value per sample, or lengths differ.
    """
    check_model(model)
    context = ScoringContext(as_sample_source(x, y), model, {}, verbose)
    return model_losses(model, context)


def model_losses(model: keras.Model, context: ScoringContext) -> np.ndarray:
    """Returns the loss of each sample under the compiled loss of a model."""
    found = []
    has_masks = None
    for _, (x, y, _) in context.chunks():
        if has_masks is None:
            has_masks = y is not None and has_masked_outputs(model, x)
        if has_masks:
            losses = masked_losses(model, x, y, PREDICT_BATCH)
        else:
            outputs = _to_float32(predict_undisturbed(model, x))
            losses = keras.ops.convert_to_numpy(sample_loss(model, y, outputs))
        found.append(np.asarray(losses, "float64"))
    return context.scores_per_unit(found)


def to_probabilities(outputs: Any) -> np.ndarray:
    """Returns class probabilities for probabilities or logits.

    The outputs have the shape `(batch, classes)`, or `(batch, 1)` for two
    classes.

    Example:

    >>> import numpy as np
    >>> to_probabilities(np.array([[0.0], [9.0]])).round(3)
    array([[0.5, 0.5],
           [0. , 1. ]])

    Raises:
        ValueError: If they have another shape.
    """
    if keras.tree.is_nested(outputs) or np.ndim(outputs) != 2:
        raise ValueError(
            "Argument `difficulty` by class needs a model with one output "
            "of shape (batch, classes). Received: output of shape "
            f"{keras.tree.map_structure(np.shape, outputs)}"
        )
    array = np.asarray(outputs, "float64")
    inside = ((array >= 0.0) & (array <= 1.0)).all()
    if array.shape[1] == 1:
        probability = array if inside else 1.0 / (1.0 + np.exp(-array))
        return np.concatenate([1.0 - probability, probability], axis=1)
    if inside and np.allclose(array.sum(axis=1), 1.0, atol=1e-3):
        return array
    array = np.exp(array - array.max(axis=1, keepdims=True))
    return array / array.sum(axis=1, keepdims=True)


def target_classes(y: Any) -> np.ndarray:
    """Returns the class numbers of a batch; raises ValueError without."""
    values = class_values(y)
    if values is None:
        raise ValueError(
            "Argument `difficulty` by class needs targets that are classes: "
            "integers of shape (samples,) or one-hot rows. Received: y of "
            f"shape {keras.tree.map_structure(np.shape, y)}"
        )
    return values


def _of_class(probability: np.ndarray, y: Any) -> np.ndarray:
    return probability[np.arange(len(probability)), target_classes(y)]


def predict_undisturbed(model: keras.Model, x: Any) -> Any:
    """Returns predictions without side effects on a `fit` that is running."""
    compile_for_flags(model, "predict_function")
    with preserve_random_state():
        return model.predict(x, batch_size=PREDICT_BATCH, verbose=0)


def _to_float32(outputs: Any) -> Any:
    return keras.tree.map_structure(
        lambda leaf: np.asarray(leaf, "float32"), outputs
    )
