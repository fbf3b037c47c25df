"""PonderNet: a model with a loss term for every halting step."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.depth import halting
from keras_netopt.graph.layers import walk_layers
from keras_netopt.graph.record_calls import Recording, record_calls
from keras_netopt.serialization import export_class


@export_class
class PonderModel(keras.Model):
    """PonderNet: a model around one `AdaptiveComputation(mode="ponder")`.

    The layers after the `AdaptiveComputation` predict once per step, and the
    loss is sum_n p_n L(y, prediction_n) + `kl_weight` KL(p || prior). The
    model compiles with one loss and fits with one `y`. Metrics use the
    prediction at the halting step; the training logs hold `expected_steps`,
    the mean of sum_n n p_n. `predict` and `evaluate` halt according to the
    layer's `halt_at`: by default at a step sampled from p, as in the paper.

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
        outputs: One symbolic output, computed only from the output of the
            layer.
        name: Name of the model. Defaults to `None`.
        **kwargs: `trainable`, as in every model.

    Raises:
        ValueError: If there is not exactly one such layer or one output, or a
            layer after it also reads a tensor from before it.

    Reference:
        Banino, Balaguer and Blundell, "PonderNet: learning to ponder", 2021,
        https://arxiv.org/abs/2107.05407.
    """

    def __init__(
        self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(inputs, outputs, name=name, **kwargs)
        _check_graph(record_calls(self), self._ponder_layer)
        self._expected_steps = keras.metrics.Mean(name="expected_steps")

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        **kwargs: Any,
    ) -> None:
        """Compiles with the loss of one prediction.

        Args:
            optimizer: As in every model. Defaults to `"rmsprop"`.
            loss: A loss with the default reduction, the mean. Defaults to
                `None`.
            **kwargs: As in every model, such as `metrics`.

        Raises:
            ValueError: If the loss has another reduction.
        """
        reduction = getattr(loss, "reduction", "sum_over_batch_size")
        if reduction != "sum_over_batch_size":
            raise ValueError(
                "Argument `loss` must have reduction 'sum_over_batch_size', "
                "because the loss of each step is weighted. "
                f"Received: loss={loss!r} with reduction {reduction!r}"
            )
        super().compile(optimizer=optimizer, loss=loss, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model like the saved one."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def call(
        self, inputs: Any, training: bool | None = None, **kwargs: Any
    ) -> Any:
        """Returns the predictions of all steps in training, otherwise one."""
        if not training:
            return super().call(inputs, training=training, **kwargs)
        with self._ponder_layer.netopt_all_steps() as halting_record:
            outputs = super().call(inputs, training=training, **kwargs)
        p = halting_record.p
        shape = (-1, p.shape[1], *ops.shape(outputs)[1:])
        by_step = ops.reshape(outputs, shape)
        halts = _expand_to_rank(halting_record.halts, len(by_step.shape))
        output = ops.sum(by_step * ops.cast(halts, by_step.dtype), axis=1)
        return {"all_steps": outputs, "halting_step": output, "p": p}

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Weights the loss of each step by its halting probability."""
        if not isinstance(y_pred, dict):
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        outputs, p = y_pred["all_steps"], y_pred["p"]
        count = p.shape[1]
        # The loss averages over all steps of all samples.
        axes = max(1, len(outputs.shape) - 1)
        weight = _expand_to_rank(ops.reshape(p * count, (-1,)), axes)
        if sample_weight is not None:
            each = ops.repeat(ops.cast(sample_weight, p.dtype), count, axis=0)
            if len(each.shape) > axes:
                each = ops.squeeze(each, -1)
            weight = weight * _expand_to_rank(each, axes)
        repeated = keras.tree.map_structure(
            lambda target: ops.repeat(target, count, axis=0), y
        )
        return super().compute_loss(x, repeated, outputs, weight, training)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Updates the metrics with the prediction at the halting step."""
        is_training = isinstance(y_pred, dict)
        if is_training:
            steps = halting.expected_steps(y_pred["p"])
            self._expected_steps.update_state(steps)
            y_pred = y_pred["halting_step"]
        logs: dict[str, Any] = super().compute_metrics(
            x, y, y_pred, sample_weight
        )
        if not is_training:  # The inference loop does not compute p.
            logs = {k: v for k, v in logs.items() if k != "expected_steps"}
        return logs

    def expected_steps(self, x: Any, batch_size: int = 256) -> np.ndarray:
        """Returns the expected number of steps of each sample.

        Args:
            x: Inputs, as for `predict`.
            batch_size: Samples per call. Defaults to `256`.

        Returns:
            Array of shape `(samples,)`: sum_n n p_n.
        """
        recording = record_calls(self)
        call = _only_call(recording, self._ponder_layer)
        before = keras.Model(recording.inputs, call.input_tensors[0])
        features = before.predict(x, batch_size=batch_size, verbose=0)
        steps = [
            self._ponder_layer.count_steps(features[i : i + batch_size])
            for i in range(0, len(features), batch_size)
        ]
        return np.concatenate(
            [ops.convert_to_numpy(ops.stop_gradient(one)) for one in steps]
        )

    def inference(self, halt_at: float | str | None = None) -> keras.Model:
        """Returns the plain model that predicts once, at the halting step.

        Args:
            halt_at: As in `AdaptiveComputation`, for a copy with another
                halting rule: 0.5, the median of p, gives deterministic files.
                Defaults to `None`: the layers are shared.

        Returns:
            A plain Keras model.

        Raises:
            TypeError: If `halt_at` has the wrong type.
            ValueError: If it is out of range.
        """
        plain = keras.Model(self.input, self.output, name=self.name)
        if halt_at is None:
            return plain

        def clone(layer: keras.Layer) -> keras.Layer:
            config = layer.get_config()
            if _is_ponder_layer(layer):
                config["halt_at"] = halt_at
            return type(layer).from_config(config)

        copy = keras.models.clone_model(plain, clone_function=clone)
        copy.set_weights(self.get_weights())
        return copy

    @property
    def _ponder_layer(self) -> Any:
        found = [one for one in walk_layers(self) if _is_ponder_layer(one)]
        if len(found) != 1:
            raise ValueError(
                "A PonderModel must hold exactly one "
                '`layers.AdaptiveComputation(mode="ponder")`. '
                f"Received: {[layer.name for layer in found]}"
            )
        return found[0]


def _is_ponder_layer(layer: Any) -> bool:
    return hasattr(layer, "netopt_all_steps") and layer.mode == "ponder"


def _expand_to_rank(values: Any, rank: int) -> Any:
    while len(values.shape) < rank:
        values = ops.expand_dims(values, -1)
    return values


def _only_call(recording: Recording, layer: keras.Layer) -> Any:
    calls = [one for one in recording.calls if one.operation is layer]
    if len(calls) != 1:
        raise ValueError(
            "A PonderModel must call its AdaptiveComputation once, at the top "
            f"level of its graph. Received: {len(calls)} calls of "
            f"{layer.name!r} there"
        )
    return calls[0]


def _check_graph(recording: Recording, layer: keras.Layer) -> None:
    """The batch axis holds all steps only after the layer."""
    after = {id(_only_call(recording, layer).outputs[0])}
    for call in recording.calls:
        is_after = {id(tensor) in after for tensor in call.input_tensors}
        if is_after == {True, False}:
            raise ValueError(
                "Layers after the AdaptiveComputation of a PonderModel must "
                "read only tensors computed from its output, because they are "
                f"called once per step. Received: {call.path!r}, which also "
                "reads a tensor from before the layer. Make that tensor part "
                "of the cell's state"
            )
        if is_after == {True}:
            after |= {id(tensor) for tensor in call.outputs}
    outputs = keras.tree.flatten(recording.outputs)
    if len(outputs) != 1 or id(outputs[0]) not in after:
        raise ValueError(
            "Argument `outputs` must be one tensor computed from the output "
            "of the AdaptiveComputation. "
            f"Received: outputs={recording.outputs!r}"
        )
