"""Lets each sample decide whether it needs a block."""

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
from keras_netopt.depth.gates import default_gate
from keras_netopt.depth.layer import BlockLayer
from keras_netopt.serialization import export_class

WAYS = ("mask", "cond")


@export_class
class SkipGate(BlockLayer):
    """Skips a block for the samples that a small gate lets pass by.

    The gate looks at the block's input and answers with the probability p
    that the block should run; g is 1 where p is above 1/2, else 0, and the
    output is `x + g * block(x)`. The forward pass is as hard as that; the
    gradient of g is that of p (straight through). A cost,
    `cost_weight * (mean(g) - target) ** 2`, is added to the loss and keeps
    the gate from running every block or none.

    Training computes the block for every sample. Inference does, too, with
    `inference="mask"`: that saves nothing and tells what could be saved, and
    an export warns of it; "cond" does not run the block where no sample of
    the batch needs it, for devices that answer one sample at a time. Both
    give the same outputs; `layer.inference = "cond"` changes a trained layer.

    `cost_weight` and `temperature` (p is `sigmoid(logit / temperature)`) are
    weights that `callbacks.ParameterScheduler` moves; `executed` is the
    running mean of g.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> inputs = keras.Input((8,))
    >>> block = keras.layers.Dense(8, activation="relu")
    >>> x = netopt.layers.SkipGate(block, target=0.5, name="gated")(inputs)
    >>> model = keras.Model(inputs, keras.layers.Dense(3)(x))
    >>> float(model.get_layer("gated").executed.value)
    1.0

    Args:
        block: A layer or model of one input whose output has the shape of
            its input: what is added to `x`.
        gate: A layer that maps the block's input to one logit a sample,
            shape `(batch, 1)`, or "auto": pooling and a small network, for
            vectors, sequences and images. Defaults to `"auto"`.
        target: Share of the samples that should run the block, a float in
            [0, 1]. Defaults to `0.5`.
        cost_weight: Weight of the cost, at least 0. Defaults to `1.0`.
        inference: "mask" or "cond", see above. Defaults to `"mask"`.
        residual: Whether `x` is added here. `False` for a block that adds
            its input itself: `g * block(x) + (1 - g) * x`. Defaults to
            `True`.
        **kwargs: As in every Keras layer: `name`, `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, ...)`.
        training: Whether the cost is added. Keras sets it.

    Input shape:
        `(batch, ...)`, any rank that block and gate take.

    Output shape:
        That of the input.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or, when the layer is
            built, if the block changes the shape or the gate gives other
            than one logit a sample.

    Reference:
        Wang et al., "SkipNet: Learning dynamic routing in convolutional
        networks", 2018, https://arxiv.org/abs/1711.09485. It learns the cost
        by REINFORCE; the cost term here is simpler and ours.
    """

    netopt_scheduled = {
        "cost_weight": (0.0, math.inf),
        "temperature": (1e-6, math.inf),
    }

    def __init__(
        self,
        block: keras.Layer,
        gate: Any = "auto",
        *,
        target: float = 0.5,
        cost_weight: float = 1.0,
        inference: str = "mask",
        residual: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(block, **kwargs)
        if gate != "auto" and not isinstance(gate, keras.layers.Layer):
            raise TypeError(
                'Argument `gate` must be "auto" or a Keras layer. '
                f"Received: gate={gate!r}"
            )
        self.given_gate = None if isinstance(gate, str) else gate
        self.target = check_probability(target, "target")
        self.initial_cost_weight = check_at_least_zero(
            cost_weight, "cost_weight"
        )
        check_choice(inference, "inference", WAYS)
        self.inference = inference
        self.residual = check_bool(residual, "residual")

    def build(self, input_shape: Any) -> None:
        """Builds the block, the gate and the scheduled variables."""
        super().build(input_shape)
        self.gate = self.given_gate or default_gate(len(input_shape))
        if not self.gate.built:
            self.gate.build(input_shape)
        shape = self.gate.compute_output_spec(
            keras.KerasTensor(input_shape, dtype=self.compute_dtype)
        ).shape
        if tuple(shape[1:]) != (1,):
            raise ValueError(
                "Argument `gate` must give one logit a sample, shape (batch, "
                f"1). Received: gate={self.gate.name!r} with outputs of shape "
                f"{tuple(shape)}"
            )
        self.cost_weight = self.add_scheduled_variable(
            "cost_weight", self.initial_cost_weight
        )
        self.temperature = self.add_scheduled_variable("temperature", 1.0)
        self.executed = self.add_scheduled_variable("executed", 1.0)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the inputs, changed by the block where the gate says so."""
        gate = self._decide(inputs)
        if training:
            share = ops.mean(gate)
            self.add_loss(self.cost_weight * ops.square(share - self.target))
            self.follow(self.executed, share)
        ones = [1] * (len(inputs.shape) - 1)
        gate = ops.cast(ops.reshape(gate, (-1, *ones)), inputs.dtype)
        if training or self.inference == "mask":
            return self._mixed(inputs, self.block(inputs), gate)
        return self.call_block_if(
            ops.any(gate > 0.0),
            self.block,
            inputs,
            lambda outputs: self._mixed(inputs, outputs, gate),
            training=False,
        )

    def netopt_calls(self, inputs: Any) -> list[tuple[keras.Layer, Any]]:
        """Returns what a forward pass calls."""
        return [(self.gate, inputs), (self.block, inputs)]

    def netopt_execution_rates(self, training: bool) -> dict[int, float]:
        """Returns how often the block runs, one sample at a time."""
        if training or self.inference == "mask":
            return {}
        return {id(self.block): float(self.executed.numpy())}

    @property
    def netopt_export_warning(self) -> str | None:
        """What an export warns of, or `None` where the block is skipped."""
        if self.inference == "cond":
            return None
        return (
            "their blocks run for every sample. Set `layer.inference = "
            '"cond"` before exporting, for batches of one sample.'
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        gate = self.given_gate
        return {
            **super().get_config(),
            "gate": keras.saving.serialize_keras_object(gate)
            if gate is not None
            else "auto",
            "target": self.target,
            "cost_weight": self.initial_cost_weight,
            "inference": self.inference,
            "residual": self.residual,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Builds the layer again."""
        gate = config.get("gate", "auto")
        if not isinstance(gate, str):
            gate = keras.saving.deserialize_keras_object(gate)
        return super().from_config({**config, "gate": gate})

    def _decide(self, inputs: Any) -> Any:
        """One g a sample, exactly 0 or 1, with the gradient of p."""
        logit = ops.cast(self.gate(inputs), "float32")[:, 0]
        p = ops.sigmoid(logit / self.temperature)
        hard = ops.cast(p > 0.5, "float32")
        return hard + (p - ops.stop_gradient(p))

    def _mixed(self, inputs: Any, outputs: Any, gate: Any) -> Any:
        outputs = ops.cast(outputs, inputs.dtype)
        if self.residual:
            return inputs + gate * outputs
        return gate * outputs + (1.0 - gate) * inputs
