"""How sure an answer is, in numpy: higher is surer, for every criterion."""

import numpy as np

from keras_netopt.checks import check_choice

CRITERIA = ("confidence", "entropy", "margin")
SUM_TOLERANCE = 1e-3


def are_probabilities(answers: np.ndarray) -> bool:
    """Tells whether answers are probabilities and not logits.

    Example:

    >>> import numpy as np
    >>> are_probabilities(np.array([[0.25, 0.75]]))
    True
    >>> are_probabilities(np.array([[2.0, 0.75]]))
    False

    Args:
        answers: Shape `(..., classes)`; a single column is a probability
            where every value lies in [0, 1].

    Returns:
        `True` where all values lie in [0, 1] and rows add up to 1.
    """
    if np.isnan(answers).any() or answers.min() < 0 or answers.max() > 1:
        return False
    if answers.shape[-1] == 1:
        return True
    return bool(np.allclose(answers.sum(-1), 1.0, atol=SUM_TOLERANCE))


def probabilities(answers: np.ndarray, is_probability: bool) -> np.ndarray:
    """Returns the probability of each class.

    Example:

    >>> import numpy as np
    >>> probabilities(np.array([[0.0]]), is_probability=False)
    array([[0.5, 0.5]])

    Args:
        answers: Shape `(..., classes)`, or `(..., 1)` for two classes.
        is_probability: Whether they are no logits.

    Returns:
        Float64, shape `(..., classes)`, at least two of them.
    """
    values = np.asarray(answers, "float64")
    if values.shape[-1] == 1:
        if is_probability:
            return np.concatenate([1.0 - values, values], axis=-1)
        values = np.concatenate([np.zeros_like(values), values], axis=-1)
    if is_probability:
        return values
    values = np.exp(values - values.max(axis=-1, keepdims=True))
    return values / values.sum(axis=-1, keepdims=True)


def scores(
    answers: np.ndarray, criterion: str, is_probability: bool
) -> np.ndarray:
    """Returns how sure each answer is.

    Example:

    >>> import numpy as np
    >>> answers = np.array([[0.7, 0.2, 0.1]])
    >>> float(scores(answers, "margin", True).round(3)[0])
    0.5

    Args:
        answers: Shape `(..., classes)`.
        criterion: "confidence", the largest probability; "margin", its
            distance to the second; "entropy", minus the entropy in nats.
        is_probability: Whether the answers are no logits.

    Returns:
        Float64, one number an answer; the larger, the surer.
    """
    likely = probabilities(answers, is_probability)
    if criterion == "confidence":
        found: np.ndarray = likely.max(axis=-1)
    elif criterion == "margin":
        top = np.partition(likely, -2, axis=-1)[..., -2:]
        found = top[..., 1] - top[..., 0]
    else:
        check_choice(criterion, "criterion", CRITERIA)
        logs = np.log(np.maximum(likely, np.finfo("float64").tiny))
        found = (likely * logs).sum(axis=-1)
    return found


def classes(answers: np.ndarray, is_probability: bool) -> np.ndarray:
    """Returns the class that each answer names.

    Example:

    >>> import numpy as np
    >>> classes(np.array([[0.7]]), is_probability=True)
    array([1])

    Args:
        answers: Shape `(..., classes)`, or `(..., 1)` for two classes.
        is_probability: Whether the answers are no logits.

    Returns:
        Integers of shape `(...)`.
    """
    if answers.shape[-1] == 1:
        limit = 0.5 if is_probability else 0.0
        return (answers[..., 0] > limit).astype("int64")
    return np.asarray(answers.argmax(axis=-1), "int64")


def to_natural(threshold: float, criterion: str) -> float:
    """Turns a score into the unit of its criterion: entropy is positive."""
    return -threshold if criterion == "entropy" else threshold
