"""A gate that decides per sample whether a block runs."""

import math
from typing import Any

import keras
from keras import ops

from keras_netopt.checks import (
    check_at_least_zero,
    check_bool,
    check_choice,
    check_probability,
)
from keras_netopt.depth.default_gate import default_gate
from keras_netopt.depth.depth_layer import BlockWrapper
from keras_netopt.serialization import export_class
from keras_netopt.training.replicas import mean_of_batch

INFERENCE_MODES = ("mask", "cond")


@export_class
class SkipGate(BlockWrapper):
    """Runs a block only for the samples that a gate selects.

    The gate reads the block's input and predicts the probability p that the
    block should run. The gate value g is 1 if p is above 1/2, otherwise 0;
    the output is `x + g * block(x)`. The gradient of g is that of p
    (straight-through estimator). The target-rate loss
    `cost_weight * (mean(g) - target_rate) ** 2` keeps the share of samples
    that run the block near the target rate.

    Training computes the block for every sample. So does
    `inference="mask"`, which saves no computation; an export warns of it.
    `inference="cond"` skips the block if no sample of the batch needs it,
    for devices that run one sample at a time. Both give the same outputs; set
    `layer.inference = "cond"` on a trained layer to change it.

    `cost_weight` and `temperature` (p is `sigmoid(logit / temperature)`) are
    weights that `callbacks.ParameterScheduler` can set; `execution_rate` is
    the running mean of g.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> inputs = keras.Input((8,))
    >>> block = keras.layers.Dense(8, activation="relu")
    >>> gate = netopt.layers.SkipGate(block, target_rate=0.5, name="gated")
    >>> x = gate(inputs)
    >>> model = keras.Model(inputs, keras.layers.Dense(3)(x))
    >>> float(model.get_layer("gated").execution_rate.value)
    1.0

    Args:
        block: The residual branch: a layer or model with one input whose
            output has the shape of its input.
        gate: A layer that maps the block's input to one logit per sample,
            shape `(batch, 1)`, or "auto": pooling and a small network, for
            vectors, sequences and images. Defaults to `"auto"`.
        target_rate: Target share of samples that run the block, a float in
            [0, 1]. Defaults to `0.5`.
        cost_weight: Weight of the target-rate loss, at least 0. Defaults to
            `1.0`.
        inference: "mask" or "cond", see above. Defaults to `"mask"`.
        residual: Whether this layer adds `x`. `False` for a block with its
            own skip connection: `g * block(x) + (1 - g) * x`. Defaults to
            `True`.
        **kwargs: As in every Keras layer: `name`, `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, ...)`.
        training: Whether the target-rate loss is added. Set by Keras.

    Input shape:
        `(batch, ...)`, any rank that block and gate accept.

    Output shape:
        The input shape.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or, when the layer is
            built, if the block changes the shape or the gate's output is not
            one logit per sample.

    Reference:
        Wang et al., "SkipNet: Learning dynamic routing in convolutional
        networks", 2018, https://arxiv.org/abs/1711.09485. It trains the gates
        with REINFORCE. The target-rate loss follows Veit and Belongie,
        "Convolutional networks with adaptive inference graphs", 2018,
        https://arxiv.org/abs/1711.11503, per batch.
    """

    netopt_schedulable = {
        "cost_weight": (0.0, math.inf),
        "temperature": (1e-6, math.inf),
    }

    def __init__(
        self,
        block: keras.Layer,
        gate: Any = "auto",
        *,
        target_rate: float = 0.5,
        cost_weight: float = 1.0,
        inference: str = "mask",
        residual: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(block, **kwargs)
        is_auto = isinstance(gate, str) and gate == "auto"
        if not is_auto and not isinstance(gate, keras.layers.Layer):
            raise TypeError(
                'Argument `gate` must be "auto" or a Keras layer. '
                f"Received: gate={gate!r}"
            )
        self.gate_argument = None if isinstance(gate, str) else gate
        self.target_rate = check_probability(target_rate, "target_rate")
        self.initial_cost_weight = check_at_least_zero(
            cost_weight, "cost_weight"
        )
        check_choice(inference, "inference", INFERENCE_MODES)
        self.inference = inference
        self.residual = check_bool(residual, "residual")

    def build(self, input_shape: Any) -> None:
        """Builds the block, the gate and the scheduled variables."""
        super().build(input_shape)
        self.gate = self.gate_argument or default_gate(len(input_shape))
        if not self.gate.built:
            self.gate.build(input_shape)
        shape = self.gate.compute_output_spec(
            keras.KerasTensor(input_shape, dtype=self.compute_dtype)
        ).shape
        if tuple(shape[1:]) != (1,):
            raise ValueError(
                "Argument `gate` must output one logit per sample, shape "
                f"(batch, 1). Received: gate={self.gate.name!r} with outputs "
                f"of shape {tuple(shape)}"
            )
        self.cost_weight = self.add_scheduled_variable(
            "cost_weight", self.initial_cost_weight
        )
        self.temperature = self.add_scheduled_variable("temperature", 1.0)
        self.execution_rate = self.add_scheduled_variable("execution_rate", 1.0)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the inputs, plus the block's output for selected samples."""
        gate = self._gate_values(inputs)
        if training:
            rate = mean_of_batch(gate)
            gap = rate - self.target_rate
            self.add_loss(self.cost_weight * ops.square(gap))
            self.update_running_mean(self.execution_rate, rate)
        ones = [1] * (len(inputs.shape) - 1)
        gate = ops.cast(ops.reshape(gate, (-1, *ones)), inputs.dtype)
        if training or self.inference == "mask":
            return self._combine(inputs, self.block(inputs), gate)
        return self.call_block_if(
            ops.any(gate > 0.0),
            self.block,
            inputs,
            lambda outputs: self._combine(inputs, outputs, gate),
            training=False,
        )

    def netopt_inner_calls(self, inputs: Any) -> list[tuple[keras.Layer, Any]]:
        """Returns the layers of a forward pass, with their inputs."""
        return [(self.gate, inputs), (self.block, inputs)]

    def netopt_execution_rates(self, training: bool) -> dict[int, float]:
        """Returns the share of samples that run the block at batch size 1."""
        if training or self.inference == "mask":
            return {}
        return {id(self.block): float(self.execution_rate.numpy())}

    @property
    def netopt_export_warning(self) -> str | None:
        """The warning of an export; `None` if the block is skipped."""
        if self.inference == "cond":
            return None
        return (
            "their blocks run for every sample. Set `layer.inference = "
            '"cond"` before the export, for a batch size of 1.'
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        gate = self.gate_argument
        return {
            **super().get_config(),
            "gate": keras.saving.serialize_keras_object(gate)
            if gate is not None
            else "auto",
            "target_rate": self.target_rate,
            "cost_weight": self.initial_cost_weight,
            "inference": self.inference,
            "residual": self.residual,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Builds the layer from its config."""
        gate = config.get("gate", "auto")
        if not isinstance(gate, str):
            gate = keras.saving.deserialize_keras_object(gate)
        return super().from_config({**config, "gate": gate})

    def _gate_values(self, inputs: Any) -> Any:
        """One g per sample, exactly 0 or 1, with the gradient of p."""
        logit = ops.cast(self.gate(inputs), "float32")[:, 0]
        p = ops.sigmoid(logit / self.temperature)
        hard = ops.cast(p > 0.5, "float32")
        return hard + (p - ops.stop_gradient(p))

    def _combine(self, inputs: Any, outputs: Any, gate: Any) -> Any:
        outputs = ops.cast(outputs, inputs.dtype)
        if self.residual:
            return inputs + gate * outputs
        return gate * outputs + (1.0 - gate) * inputs
