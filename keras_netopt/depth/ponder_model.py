"""A model that trains the answer of every step it might stop at."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.depth import halting
from keras_netopt.serialization import export_class
from keras_netopt.training import walk_layers
from keras_netopt.training.replay import Recording, record

Y_PRED = dict[str, Any]


@export_class
class PonderModel(keras.Model):
    """PonderNet: a model around one `AdaptiveComputation(mode="ponder")`.

    What stands behind the layer answers after each step, and the loss is
    sum_n p_n L(y, answer_n) + `kl_weight` KL(p || prior). It compiles with one
    loss and fits with one `y`. Metrics are those of the answer at the step
    where the sample halts, and the logs of training hold `expected_steps`, the
    mean of sum_n n p_n. `predict` and `evaluate` halt as the layer's `halt_at`
    says: by default at a step drawn from p, as the paper does.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> inputs = keras.Input((4,))
    >>> ponder = netopt.layers.AdaptiveComputation(
    ...     keras.layers.Dense(4, activation="tanh"), 5, mode="ponder"
    ... )
    >>> outputs = keras.layers.Dense(1)(ponder(inputs))
    >>> model = netopt.depth.PonderModel(inputs, outputs)
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0)
    >>> sorted(history.history)
    ['expected_steps', 'loss']

    Args:
        inputs: Symbolic inputs.
        outputs: One symbolic output; every path to it leads through the
            layer.
        name: Name of the model. Defaults to `None`.
        **kwargs: `trainable`, as in every model.

    Raises:
        ValueError: If there is not exactly one such layer or one output, or
            something behind the layer needs what stands before it.

    Reference:
        Banino, Balaguer and Blundell, "PonderNet: learning to ponder", 2021,
        https://arxiv.org/abs/2107.05407.
    """

    def __init__(
        self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(inputs, outputs, name=name, **kwargs)
        _check_graph(record(self), self._ponder)
        self._expected_steps = keras.metrics.Mean(name="expected_steps")

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        **kwargs: Any,
    ) -> None:
        """Compiles with the loss of one answer.

        Args:
            optimizer: As in every model. Defaults to `"rmsprop"`.
            loss: A loss whose reduction is the default, a mean. Defaults to
                `None`.
            metrics: As in every model. Defaults to `None`.
            weighted_metrics: Likewise. Defaults to `None`.
            **kwargs: As in every model.

        Raises:
            ValueError: If the loss does not average over samples.
        """
        reduction = getattr(loss, "reduction", "sum_over_batch_size")
        if reduction != "sum_over_batch_size":
            raise ValueError(
                "Argument `loss` must have reduction 'sum_over_batch_size': "
                "the losses of the steps are weighted one by one. "
                f"Received: loss={loss!r} with reduction {reduction!r}"
            )
        super().compile(
            optimizer=optimizer,
            loss=loss,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            **kwargs,
        )

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model as the saved one was."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def call(
        self, inputs: Any, training: bool | None = None, **kwargs: Any
    ) -> Any:
        """Returns the answers of all steps in training, else one."""
        if not training:
            return super().call(inputs, training=training, **kwargs)
        with self._ponder.netopt_every_step() as noted:
            answers = super().call(inputs, training=training, **kwargs)
        shape = (-1, noted.p.shape[1], *ops.shape(answers)[1:])
        by_step = ops.reshape(answers, shape)
        chosen = _with_axes(noted.chosen, len(by_step.shape))
        answer = ops.sum(by_step * ops.cast(chosen, by_step.dtype), axis=1)
        return {"answers": answers, "answer": answer, "p": noted.p}

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Weights the loss of each step by the probability to halt there."""
        if not isinstance(y_pred, dict):
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        answers, p = y_pred["answers"], y_pred["p"]
        count = p.shape[1]
        # The mean is over all steps of all samples.
        axes = max(1, len(answers.shape) - 1)
        weight = _with_axes(ops.reshape(p * count, (-1,)), axes)
        if sample_weight is not None:
            each = ops.repeat(ops.cast(sample_weight, p.dtype), count, axis=0)
            if len(each.shape) > axes:
                each = ops.squeeze(each, -1)
            weight = weight * _with_axes(each, axes)
        repeated = keras.tree.map_structure(
            lambda target: ops.repeat(target, count, axis=0), y
        )
        return super().compute_loss(x, repeated, answers, weight, training)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Updates the metrics with the answer at the halt."""
        trains = isinstance(y_pred, dict)
        if trains:
            steps = halting.expected_steps(y_pred["p"])
            self._expected_steps.update_state(steps)
            y_pred = y_pred["answer"]
        logs: dict[str, Any] = super().compute_metrics(
            x, y, y_pred, sample_weight
        )
        if not trains:  # The loop of inference does not know p.
            logs = {k: v for k, v in logs.items() if k != "expected_steps"}
        return logs

    def expected_steps(self, x: Any, batch_size: int = 256) -> np.ndarray:
        """Returns how many steps each sample is given on average.

        Args:
            x: Inputs, as for `predict`.
            batch_size: Samples at a time. Defaults to `256`.

        Returns:
            Array of shape `(samples,)`: sum_n n p_n.
        """
        recording = record(self)
        call = _call_of(recording, self._ponder)
        before = keras.Model(recording.inputs, call.inputs[0])
        features = before.predict(x, batch_size=batch_size, verbose=0)
        found = [
            ops.convert_to_numpy(
                ops.stop_gradient(self._ponder.steps(features[i : i + size]))
            )
            for size in [batch_size]
            for i in range(0, len(features), size)
        ]
        return np.concatenate(found)

    def inference(self, halt_at: float | str | None = None) -> keras.Model:
        """Returns the plain model that halts and answers once.

        Args:
            halt_at: As in `AdaptiveComputation`, for a copy that halts
                otherwise than this model: 0.5, the median of p, makes files
                for devices possible. Defaults to `None`: the layers are
                shared, and it halts as they do.

        Returns:
            A model without anything of `PonderModel`.

        Raises:
            TypeError: If `halt_at` has the wrong type.
            ValueError: If it is out of range.
        """
        plain = keras.Model(self.inputs, self.outputs, name=self.name)
        if halt_at is None:
            return plain
        copy = keras.models.clone_model(
            plain, clone_function=lambda layer: _copied(layer, halt_at)
        )
        copy.set_weights(self.get_weights())
        return copy

    @property
    def _ponder(self) -> Any:
        found = [layer for layer in walk_layers(self) if _ponders(layer)]
        if len(found) != 1:
            raise ValueError(
                "A PonderModel must hold exactly one "
                '`layers.AdaptiveComputation(mode="ponder")`. '
                f"Received: {[layer.name for layer in found]}"
            )
        return found[0]


def _ponders(layer: Any) -> bool:
    is_one = hasattr(layer, "netopt_every_step")
    return is_one and layer.mode == "ponder"


def _copied(layer: keras.Layer, halt_at: float | str) -> keras.Layer:
    config = layer.get_config()
    if _ponders(layer):
        config["halt_at"] = halt_at
    return type(layer).from_config(config)


def _with_axes(values: Any, count: int) -> Any:
    while len(values.shape) < count:
        values = ops.expand_dims(values, -1)
    return values


def _call_of(recording: Recording, layer: keras.Layer) -> Any:
    calls = [one for one in recording.calls if one.operation is layer]
    if len(calls) != 1:
        raise ValueError(
            "A PonderModel must call its AdaptiveComputation once, in its "
            f"own graph. Received: {len(calls)} calls of {layer.name!r} there"
        )
    return calls[0]


def _check_graph(recording: Recording, layer: keras.Layer) -> None:
    """Behind the layer a batch holds all steps; before it, it does not."""
    behind = {id(_call_of(recording, layer).outputs[0])}
    for call in recording.calls:
        known = {id(tensor) in behind for tensor in call.inputs}
        if known == {True, False}:
            raise ValueError(
                "What stands behind the AdaptiveComputation of a PonderModel "
                "must need its output alone, for it answers after each step. "
                f"Received: {call.path!r}, which also takes what stands "
                "before it. Remedy: make it part of the cell's state"
            )
        if known == {True}:
            behind |= {id(tensor) for tensor in call.outputs}
    outputs = keras.tree.flatten(recording.outputs)
    if len(outputs) != 1 or id(outputs[0]) not in behind:
        raise ValueError(
            "Argument `outputs` must be one tensor that depends on the "
            f"AdaptiveComputation. Received: outputs={recording.outputs!r}"
        )
