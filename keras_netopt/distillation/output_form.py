"""What the outputs of a model are: logits, probabilities or numbers."""

import functools
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.distillation.teacher_loss import TeacherLoss

_KIND_OF_LOSS = {
    "categorical_crossentropy": "softmax",
    "sparse_categorical_crossentropy": "softmax",
    "categorical_focal_crossentropy": "softmax",
    "categorical_generalized_cross_entropy": "softmax",
    "kl_divergence": "softmax",
    "binary_crossentropy": "sigmoid",
    "binary_focal_crossentropy": "sigmoid",
    "mean_squared_error": "mse",
    "mean_absolute_error": "mse",
    "mean_absolute_percentage_error": "mse",
    "mean_squared_logarithmic_error": "mse",
    "huber": "mse",
    "log_cosh": "mse",
    "poisson": "mse",
    "cosine_similarity": "mse",
}


@dataclass(frozen=True)
class OutputForm:
    """What is known about one output of a model.

    Args:
        activation: The last activation, as `find_activations` returns it.
        kind: What the compiled loss makes of it: "softmax", "sigmoid", "mse"
            or `None`.
        from_logits: Whether the compiled loss reads logits; `None` if that is
            not known.
    """

    activation: str
    kind: str | None = None
    from_logits: bool | None = None

    @property
    def own_kind(self) -> str | None:
        """The kind of loss that fits the output, if that is clear."""
        if self.activation in ("softmax", "log_softmax"):
            return "softmax"
        if self.kind is not None:
            return self.kind
        return "sigmoid" if self.activation == "sigmoid" else None

    def are_logits(self) -> bool | None:
        """Whether the output is logits; `None` if that is not clear."""
        if self.activation in ("softmax", "sigmoid"):
            return None if self.from_logits else False
        if self.activation == "log_softmax":
            return True
        if self.activation == "linear":
            return None if self.from_logits is False else True
        return self.from_logits


def describe_output(activation: str, loss: Any) -> OutputForm:
    """Returns the form of an output with an activation and a compiled loss.

    Example:

    >>> describe_output("softmax", "categorical_crossentropy").are_logits()
    False
    >>> describe_output("linear", None).are_logits()
    True

    Args:
        activation: As `find_activations` returns it.
        loss: The compiled loss of the output, or `None`.
    """
    while hasattr(loss, "base_loss"):  # SuperLoss
        loss = loss.base_loss
    if isinstance(loss, TeacherLoss):
        from_logits = None if loss.kind == "mse" else loss.from_logits
        return OutputForm(activation, loss.kind, from_logits)
    options: dict[str, Any] = {}
    if isinstance(loss, functools.partial):
        options, loss = loss.keywords, loss.func
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss):
        names = [_snake(kind.__name__) for kind in type(loss).__mro__]
        name = next((n for n in names if n in _KIND_OF_LOSS), "")
        options = loss.get_config() if name else {}
    else:
        name = getattr(loss, "__name__", "")
    kind = _KIND_OF_LOSS.get(name)
    from_logits = None
    if kind in ("softmax", "sigmoid"):
        from_logits = bool(options.get("from_logits", False))
    return OutputForm(activation, kind, from_logits)


def find_losses(model: Any, names: list[str]) -> list[Any]:
    """Returns the compiled loss of each output, `None` where there is none."""
    loss = getattr(model, "loss", None)
    if isinstance(loss, dict):
        return [loss.get(name) for name in names]
    if isinstance(loss, list | tuple):
        flat = list(loss)
        return flat if len(flat) == len(names) else [None] * len(names)
    return [loss] * len(names)


def _snake(name: str) -> str:
    if name == "KLDivergence":
        return "kl_divergence"
    parts = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
    return parts.lstrip("_")
