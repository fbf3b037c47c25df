"""A model with several exits that trains on one target."""

from typing import Any

import keras
from keras import ops

from keras_netopt.checks import check_positive
from keras_netopt.depth.exits.training_record import TrainingRecord
from keras_netopt.serialization import export_class
from keras_netopt.training.running_means import scale_for_replicas

FINAL = "final"


@export_class
class ExitModel(keras.Model):
    """A model with early exits, as `add_exits` returns it.

    It compiles with one loss and one list of metrics and fits with one `y`
    (and one `sample_weight`), which apply to every exit. Its outputs are a
    dictionary by exit name, the final one last. It saves, loads and resumes
    training like any Keras model.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from keras_netopt.depth import add_exits
    >>> model = keras.Sequential(
    ...     [
    ...         keras.Input((4,)),
    ...         keras.layers.Dense(8, activation="relu", name="first"),
    ...         keras.layers.Dense(1),
    ...     ]
    ... )
    >>> exits = add_exits(model, layers=["first"])
    >>> exits.compile("sgd", "mse", metrics=["mae"])
    >>> history = exits.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0)
    >>> sorted(history.history)
    ['exit1_loss', 'exit1_mae', 'final_loss', 'final_mae', 'loss']

    Args:
        inputs: Symbolic inputs.
        outputs: Dictionary of symbolic outputs, the final one last.
        name: Name of the model. Defaults to `None`.
        **kwargs: `exit_loss_weights`, the loss weight of each exit by name;
            `distill_temperature`, the temperature of self-distillation or
            `None`; `activation` of the outputs: "linear", "softmax",
            "sigmoid" or "other"; `trainable`, as in every model.

    Raises:
        TypeError: If `distill_temperature` is not a number.
        ValueError: If `distill_temperature` is not above 0, or the outputs
            are neither logits nor a softmax.
    """

    def __init__(
        self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any
    ) -> None:
        names = tuple(outputs)
        weights = kwargs.pop("exit_loss_weights", dict.fromkeys(names, 1.0))
        temperature = kwargs.pop("distill_temperature", None)
        activation = kwargs.pop("activation", "other")
        record = TrainingRecord.from_config(kwargs.pop("training_record", []))
        if temperature is not None:
            temperature = check_positive(temperature, "distill_temperature")
            _check_classes(temperature, activation, outputs)
        super().__init__(inputs, outputs, name=name, **kwargs)
        self.exit_names = names
        self.exit_loss_weights = {n: float(weights[n]) for n in names}
        self.distill_temperature = temperature
        self.activation = activation
        self.training_record = record

    def backbone(self) -> keras.Model:
        """Returns the plain model with the final output only.

        Its layers are shared with this one.
        """
        outputs: Any = self.output
        return keras.Model(self.input, outputs[FINAL])

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        **kwargs: Any,
    ) -> None:
        """Compiles with one loss and one list of metrics for all exits.

        Args:
            optimizer: As in every model. Defaults to `"rmsprop"`.
            loss: One loss, or a dictionary by exit name. Defaults to `None`.
            loss_weights: A dictionary by exit name. Defaults to `None`:
                `exit_loss_weights`.
            metrics: One list, or a dictionary by exit name. Defaults to
                `None`.
            weighted_metrics: Likewise. Defaults to `None`.
            **kwargs: As in every model.
        """
        if loss is not None and not isinstance(loss, dict):
            loss = dict.fromkeys(self.exit_names, loss)
        if loss_weights is None and loss is not None:
            loss_weights = {n: self.exit_loss_weights[n] for n in loss}
        super().compile(
            optimizer=optimizer,
            loss=loss,
            loss_weights=loss_weights,
            metrics=self._for_each(metrics),
            weighted_metrics=self._for_each(weighted_metrics),
            **kwargs,
        )

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model as the saved one was."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Sums the weighted losses of all exits."""
        weight = self._for_outputs(sample_weight)
        loss = super().compute_loss(
            x, self._for_outputs(y), y_pred, weight, training
        )
        if self.distill_temperature is None:
            return loss
        return loss + self._distillation(y_pred, weight)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Updates the metrics of all exits."""
        found: dict[str, Any] = super().compute_metrics(
            x, self._for_outputs(y), y_pred, self._for_outputs(sample_weight)
        )
        return found

    def fit(self, x: Any = None, y: Any = None, **kwargs: Any) -> Any:
        """Trains as `keras.Model.fit` does, and records hashes of `x`.

        `depth.calibrate` warns if its samples are among them.
        """
        self.training_record.add(x, kwargs.get("validation_split", 0.0))
        return super().fit(x, y, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Returns the graph and every setting."""
        return {
            **super().get_config(),
            "exit_loss_weights": dict(self.exit_loss_weights),
            "distill_temperature": self.distill_temperature,
            "activation": self.activation,
            "training_record": self.training_record.get_config(),
        }

    def _for_outputs(self, value: Any) -> Any:
        """Repeats a target or a sample weight for each exit."""
        if value is None or _is_by_name(value, self.exit_names):
            return value
        return dict.fromkeys(self.exit_names, value)

    def _for_each(self, metrics: Any) -> Any:
        """Repeats metrics for each exit, with separate state."""
        if metrics is None or _is_by_name(metrics, self.exit_names):
            return metrics
        listed = metrics if isinstance(metrics, list | tuple) else [metrics]
        return {
            name: [_metric_for(metric, name) for metric in listed]
            for name in self.exit_names
        }

    def _distillation(self, y_pred: Any, sample_weight: Any) -> Any:
        """KL divergence of early exits from the final one, at a temperature."""
        teacher = ops.stop_gradient(self._log_softmax(y_pred[FINAL]))
        total: Any = 0.0
        for name in self.exit_names[:-1]:
            gap = teacher - self._log_softmax(y_pred[name])
            loss = ops.sum(ops.exp(teacher) * gap, axis=-1)
            if sample_weight is not None:
                weight = ops.cast(sample_weight[name], loss.dtype)
                loss = loss * ops.reshape(weight, ops.shape(loss))
            total = total + self.exit_loss_weights[name] * ops.mean(loss)
        return scale_for_replicas(self.distill_temperature**2 * total)

    def _log_softmax(self, outputs: Any) -> Any:
        if self.activation == "softmax":
            outputs = ops.log(ops.maximum(outputs, keras.config.epsilon()))
        return ops.log_softmax(outputs / self.distill_temperature, axis=-1)


def _is_by_name(value: Any, names: tuple[str, ...]) -> bool:
    return isinstance(value, dict) and bool(value) and set(value) <= set(names)


def _metric_for(metric: Any, name: str) -> Any:
    """The final exit keeps a metric object; the others get a copy."""
    if not isinstance(metric, keras.metrics.Metric) or name == FINAL:
        return metric
    return type(metric).from_config(metric.get_config())


def _check_classes(temperature: float, activation: str, outputs: Any) -> None:
    classes = outputs[FINAL].shape[-1]
    if activation not in ("linear", "softmax") or (classes or 2) < 2:
        raise ValueError(
            "Argument `distill_temperature` must be None unless the final "
            "output is the logits or the softmax of at least two classes. "
            f"Received: distill_temperature={temperature!r} with activation "
            f"{activation!r} and {classes} units"
        )
