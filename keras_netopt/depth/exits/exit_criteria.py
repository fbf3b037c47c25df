"""Exit scores in numpy: higher is more confident, for every criterion."""

import numpy as np

from keras_netopt.checks import check_choice

CRITERIA = ("confidence", "entropy", "margin")
SUM_TOLERANCE = 1e-3


def are_probabilities(outputs: np.ndarray) -> bool:
    """Returns whether model outputs are probabilities, as opposed to logits.

    Probabilities lie in [0, 1], and the rows of `(..., classes)` sum to 1
    unless they have a single column.
    """
    if np.isnan(outputs).any() or outputs.min() < 0 or outputs.max() > 1:
        return False
    if outputs.shape[-1] == 1:
        return True
    return bool(np.allclose(outputs.sum(-1), 1.0, atol=SUM_TOLERANCE))


def class_probabilities(
    outputs: np.ndarray, is_probability: bool
) -> np.ndarray:
    """Returns the float64 probability of each class, at least two.

    Outputs of shape `(..., 1)` stand for two classes.

    Example:

    >>> import numpy as np
    >>> class_probabilities(np.array([[0.0]]), is_probability=False)
    array([[0.5, 0.5]])
    """
    values = np.asarray(outputs, "float64")
    if values.shape[-1] == 1:
        if is_probability:
            return np.concatenate([1.0 - values, values], axis=-1)
        values = np.concatenate([np.zeros_like(values), values], axis=-1)
    if is_probability:
        return values
    values = np.exp(values - values.max(axis=-1, keepdims=True))
    return values / values.sum(axis=-1, keepdims=True)


def exit_scores(
    outputs: np.ndarray, criterion: str, is_probability: bool
) -> np.ndarray:
    """Returns the score that is compared with an exit threshold.

    "confidence" is the largest probability, "margin" its distance to the
    second largest, "entropy" the negative entropy in nats. The float64 result
    has the shape of the outputs without the axis of classes.

    Example:

    >>> import numpy as np
    >>> outputs = np.array([[0.7, 0.2, 0.1]])
    >>> float(exit_scores(outputs, "margin", True).round(3)[0])
    0.5
    """
    check_choice(criterion, "criterion", CRITERIA)
    probabilities = class_probabilities(outputs, is_probability)
    if criterion == "confidence":
        return np.asarray(probabilities.max(axis=-1))
    if criterion == "margin":
        top = np.partition(probabilities, -2, axis=-1)[..., -2:]
        return np.asarray(top[..., 1] - top[..., 0])
    logs = np.log(np.maximum(probabilities, np.finfo("float64").tiny))
    return np.asarray((probabilities * logs).sum(axis=-1))


def predicted_classes(outputs: np.ndarray, is_probability: bool) -> np.ndarray:
    """Returns the predicted class of each sample.

    Outputs of shape `(..., 1)` stand for two classes.
    """
    if outputs.shape[-1] == 1:
        limit = 0.5 if is_probability else 0.0
        return (outputs[..., 0] > limit).astype("int64")
    return np.asarray(outputs.argmax(axis=-1), "int64")
