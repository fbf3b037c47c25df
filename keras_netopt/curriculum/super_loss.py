"""SuperLoss: a loss that reduces the weight of hard samples."""

import math
from typing import Any

import keras
from keras import ops

from keras_netopt.checks import check_number, check_positive
from keras_netopt.curriculum.lambert_w import lambert_w
from keras_netopt.serialization import export_class
from keras_netopt.training.loss_arguments import check_loss_arguments
from keras_netopt.training.replicas import count_replicas

TAUS = ("log_classes", "batch")


@export_class
class SuperLoss(keras.losses.Loss):
    """Weights each sample by a confidence that decreases with its loss.

    Samples with a loss above `tau` have a confidence below 1, samples with a
    smaller loss one above 1. The confidence is the optimum of the SuperLoss
    objective, in closed form. With wrong labels in the data, a large loss is
    more often a wrong label than a hard sample, so SuperLoss reduces the
    effect of wrong labels. It has no schedule and no state.

    The gradient of each sample is the gradient of the base loss times the
    confidence, which is treated as a constant. Losses are computed in at
    least float32, also in models of half precision. If the base loss has one
    value per token, each token has its own confidence.

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
        base_loss: A `keras.losses.Loss`, the name of one such as "mse", or a
            function `(y_true, y_pred)` with one value per sample. Its
            reduction is not used.
        tau: Threshold between easy and hard samples, in units of the loss.
            "log_classes": the cross-entropy of uniform predictions, ln of the
            number of outputs, or ln 2 for a binary cross-entropy; "batch":
            the mean loss of the batch; or a number. Defaults to
            `"log_classes"`.
        lam: Regularization parameter, a float above 0. A smaller value gives
            hard samples a smaller weight; very large values give the base
            loss minus `tau`. Defaults to `1.0`.
        reduction: As in every Keras loss. Defaults to
            `"sum_over_batch_size"`.
        name: Name of the loss. Defaults to `"super_loss"`.
        dtype: As in every Keras loss. Defaults to `None`: Keras' float type.

    Raises:
        TypeError: If `lam` is not a number, or `base_loss` is not a loss.
        ValueError: If an argument is out of range; if `tau="log_classes"` and
            the base loss is not a cross-entropy or there is only one output;
            if the base loss has no value per sample (in the first step).

    Reference:
        Castells, Weinzaepfel and Revaud, *SuperLoss: A Generic Loss for
        Robust Curriculum Learning*, NeurIPS 2020. `tau` and `lam` are its τ
        and λ.
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
        check_loss_arguments(reduction, name, dtype)
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.base_loss = _as_loss(base_loss)
        self.tau = tau if isinstance(tau, str) else check_number(tau, "tau")
        self.lam = check_positive(lam, "lam")
        if isinstance(tau, str):
            _check_threshold(tau, self.base_loss)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns one value per sample, or one per token."""
        y_pred = keras.tree.map_structure(_at_least_float32, y_pred)
        losses = self.base_loss.call(y_true, y_pred)
        if len(losses.shape) == 0:
            raise ValueError(
                "Argument `base_loss` must give one value per sample, not "
                f"their mean. Received: base_loss={self.base_loss!r}"
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
        """Creates the loss from its config."""
        base = keras.saving.deserialize_keras_object(config["base_loss"])
        return cls(**{**config, "base_loss": base})

    def _threshold(self, losses: Any, y_pred: Any) -> Any:
        if self.tau == "batch":
            _check_alone()
            return ops.stop_gradient(ops.mean(losses))
        if not isinstance(self.tau, str):
            return self.tau
        if _is_binary(self.base_loss):
            return math.log(2.0)
        classes = y_pred.shape[-1]
        if classes is None or classes < 2:
            raise ValueError(
                'Argument `tau` must be a number or "batch" unless the last '
                "axis of the outputs is the classes. "
                f"Received: tau={self.tau!r}, outputs of shape {y_pred.shape}"
            )
        return math.log(classes)


def confidence(excess: Any) -> Any:
    """Returns the optimal confidence of SuperLoss, in (0, e).

    `excess` is (loss - tau) / lam, a tensor.
    """
    return ops.exp(-lambert_w(0.5 * ops.maximum(excess, -2.0 / math.e)))


def _as_loss(base: Any) -> keras.losses.Loss:
    if isinstance(base, SuperLoss):
        raise ValueError(
            "Argument `base_loss` must be another loss than a SuperLoss. "
            f"Received: base_loss={base!r}"
        )
    try:
        found = keras.losses.get(base)
    except ValueError:
        found = None
    if isinstance(found, keras.losses.Loss):
        return found
    is_object = isinstance(found, keras.Layer | keras.metrics.Metric)
    if not callable(found) or is_object or isinstance(found, type):
        raise TypeError(
            "Argument `base_loss` must be a Keras loss, the name of one, or "
            "a function (y_true, y_pred). "
            f"Received: base_loss={base!r}"
        )
    return _FunctionLoss(found)


@export_class
class _FunctionLoss(keras.losses.Loss):
    """Wraps a loss function as a loss object."""

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
    """Expands targets (batch,) to the shape (batch, 1) of the outputs."""
    flat = len(y_true.shape) + 1 == len(y_pred.shape)
    return y_true[..., None] if flat and y_pred.shape[-1] == 1 else y_true


def _check_threshold(tau: str, base: keras.losses.Loss) -> None:
    if tau not in TAUS:
        raise ValueError(
            'Argument `tau` must be "log_classes", "batch" or a number. '
            f"Received: tau={tau!r}"
        )
    known = getattr(base, "function", type(base))
    module = getattr(known, "__module__", None) or ""
    is_keras = module.partition(".")[0] == "keras"
    if tau == "log_classes" and is_keras and "cross" not in _loss_name(base):
        raise ValueError(
            'Argument `tau` must be "batch" or a number for a loss that is '
            "not a cross-entropy, because it has no classes. "
            f"Received: tau={tau!r}, base_loss={base.name!r}"
        )


def _check_alone() -> None:
    if count_replicas() > 1:
        raise ValueError(
            'Argument `tau` must be a number or "log_classes" under a '
            "strategy of several replicas, because each sees a part of the "
            f"batch. Received: tau='batch', {count_replicas()} replicas"
        )


def _is_binary(base: keras.losses.Loss) -> bool:
    return "binary" in _loss_name(base)


def _loss_name(base: keras.losses.Loss) -> str:
    """Returns the lower-case name of the function or class."""
    named = getattr(base, "function", type(base))
    # A `functools.partial` and an object with `__call__` have no name.
    return getattr(named, "__name__", type(named).__name__).lower()


def _at_least_float32(x: Any) -> Any:
    dtype = keras.backend.standardize_dtype(x.dtype)
    return ops.cast(x, "float32") if dtype in ("float16", "bfloat16") else x
