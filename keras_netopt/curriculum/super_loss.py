"""A loss that turns down what is too hard, sample by sample."""

import math
from typing import Any

import keras
from keras import ops

from keras_netopt.checks import check_number, check_positive
from keras_netopt.curriculum.lambert_w import lambert_w
from keras_netopt.serialization import export_class

TAUS = ("log_classes", "batch")


@export_class
class SuperLoss(keras.losses.Loss):
    """Weighs every sample by how its loss compares with a threshold.

    Samples whose loss lies above `tau` count less than with the plain loss,
    samples below it count more, by a confidence that is the best one for that
    loss in closed form. With wrong labels in the data, a large loss is more
    often a wrong label than a hard sample, so training follows the labels
    that agree with each other. There is nothing to schedule, and no state.

    The confidence is a constant for the gradient: each sample's gradient is
    that of the plain loss times its confidence. Losses are computed in
    float32 at least, also where the model computes in half precision.
    Where the plain loss has one value a token, every token has a confidence
    of its own.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> loss = netopt.curriculum.SuperLoss(
    ...     keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    ...     lam=0.25,
    ... )
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(10)])
    >>> model.compile("adam", loss)

    Args:
        base_loss: The plain loss: a `keras.losses.Loss`, the name of one as
            in "mse", or a function `(y_true, y_pred)` with one value a
            sample. Its own reduction is not used.
        tau: The threshold between easy and hard, in units of the loss.
            "log_classes": the cross-entropy of a guess, ln of the number of
            outputs, or ln 2 for a binary cross-entropy; "batch": the mean
            loss of the batch; or a number. Defaults to `"log_classes"`.
        lam: How even the weights are, a float above 0. The smaller, the less
            a hard sample counts; very large values give the plain loss minus
            `tau`. Defaults to `1.0`.
        reduction: As in every Keras loss. Defaults to
            `"sum_over_batch_size"`.
        name: Name of the loss. Defaults to `"super_loss"`.
        dtype: As in every Keras loss. Defaults to `None`: Keras' float type.

    Raises:
        TypeError: If `lam` is not a number, or `base_loss` no loss.
        ValueError: If an argument is out of range; if `tau="log_classes"`
            where the plain loss is no cross-entropy or there is one output
            only; if the plain loss has no value a sample (in the first step).

    Reference:
        Castells, Weinzaepfel and Revaud, *SuperLoss: A Generic Loss for
        Robust Curriculum Learning*, NeurIPS 2020. Its symbols for `tau` and
        `lam` are τ and λ.
    """

    def __init__(
        self,
        base_loss: Any,
        tau: str | float = "log_classes",
        lam: float = 1.0,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "super_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.base_loss = _as_loss(base_loss)
        self.tau = tau if isinstance(tau, str) else check_number(tau, "tau")
        self.lam = check_positive(lam, "lam")
        if isinstance(tau, str):
            _check_threshold(tau, self.base_loss)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns one value a sample, or one a token."""
        y_pred = keras.tree.map_structure(_at_least_float32, y_pred)
        losses = self.base_loss.call(y_true, y_pred)
        if len(losses.shape) == 0:
            raise ValueError(
                "Argument `base_loss` must give one value a sample, not their "
                f"mean. Received: base_loss={self.base_loss!r}"
            )
        above = losses - self._threshold(losses, y_pred)
        sigma = ops.stop_gradient(confidence(above / self.lam))
        return above * sigma + self.lam * ops.square(ops.log(sigma))

    def get_config(self) -> dict[str, Any]:
        """Returns every constructor argument."""
        is_default = self.dtype == keras.config.floatx()
        return {
            **super().get_config(),
            "base_loss": keras.saving.serialize_keras_object(self.base_loss),
            "tau": self.tau,
            "lam": self.lam,
            "dtype": None if is_default else self.dtype,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SuperLoss":
        """Builds the loss again."""
        base = keras.saving.deserialize_keras_object(config["base_loss"])
        return cls(**{**config, "base_loss": base})

    def _threshold(self, losses: Any, y_pred: Any) -> Any:
        if self.tau == "batch":
            return ops.stop_gradient(ops.mean(losses))
        if not isinstance(self.tau, str):
            return self.tau
        if _is_binary(self.base_loss):
            return math.log(2.0)
        classes = y_pred.shape[-1]
        if classes is None or classes < 2:
            raise ValueError(
                'Argument `tau` must be a number or "batch" where the last '
                "axis of the outputs is not the classes. "
                f"Received: tau={self.tau!r}, outputs of shape {y_pred.shape}"
            )
        return math.log(classes)


def confidence(excess: Any) -> Any:
    """Returns the weight that SuperLoss gives to a loss.

    Example:

    >>> from keras import ops
    >>> float(confidence(ops.convert_to_tensor(0.0)))
    1.0

    Args:
        excess: (loss - tau) / lam, a tensor.

    Returns:
        A tensor of the same shape with values in (0, e).
    """
    return ops.exp(-lambert_w(0.5 * ops.maximum(excess, -2.0 / math.e)))


def _as_loss(base: Any) -> keras.losses.Loss:
    if isinstance(base, SuperLoss):
        raise ValueError(
            "Argument `base_loss` must be a plain loss, not a SuperLoss. "
            f"Received: base_loss={base!r}"
        )
    try:
        found = keras.losses.get(base)
    except ValueError:
        found = None
    if isinstance(found, keras.losses.Loss):
        return found
    if not callable(found):
        raise TypeError(
            "Argument `base_loss` must be a Keras loss, the name of one, or "
            "a function (y_true, y_pred). "
            f"Received: base_loss={base!r}"
        )
    return _FunctionLoss(found)


@export_class
class _FunctionLoss(keras.losses.Loss):
    """Gives a loss function the form of a loss object."""

    def __init__(self, function: Any, **options: Any) -> None:
        options.setdefault("name", getattr(function, "__name__", "loss"))
        super().__init__(**options)
        self.function = function

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.function(_as_column(y_true, y_pred), y_pred)

    def get_config(self) -> dict[str, Any]:
        function = keras.saving.serialize_keras_object(self.function)
        return {**super().get_config(), "function": function}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "_FunctionLoss":
        function = keras.saving.deserialize_keras_object(config["function"])
        return cls(**{**config, "function": function})


def _as_column(y_true: Any, y_pred: Any) -> Any:
    """Targets of shape (batch,) beside outputs of shape (batch, 1)."""
    flat = len(y_true.shape) + 1 == len(y_pred.shape)
    return y_true[..., None] if flat and y_pred.shape[-1] == 1 else y_true


def _check_threshold(tau: str, base: keras.losses.Loss) -> None:
    if tau not in TAUS:
        raise ValueError(
            'Argument `tau` must be "log_classes", "batch" or a number. '
            f"Received: tau={tau!r}"
        )
    known = getattr(base, "function", type(base))
    is_keras = known.__module__.partition(".")[0] == "keras"
    if tau == "log_classes" and is_keras and "cross" not in _kind(base):
        raise ValueError(
            'Argument `tau` must be "batch" or a number with a loss that is '
            "no cross-entropy: it has no classes to guess. "
            f"Received: tau={tau!r}, base_loss={base.name!r}"
        )


def _is_binary(base: keras.losses.Loss) -> bool:
    return "binary" in _kind(base)


def _kind(base: keras.losses.Loss) -> str:
    """The name of the function or class, lower case."""
    return getattr(base, "function", type(base)).__name__.lower()


def _at_least_float32(x: Any) -> Any:
    dtype = keras.backend.standardize_dtype(x.dtype)
    return ops.cast(x, "float32") if dtype in ("float16", "bfloat16") else x
