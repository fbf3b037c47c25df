"""Repeats a cell as often as each sample needs it."""

import math
from typing import Any

import keras
from keras import ops

from keras_netopt.checks import (
    check_at_least_zero,
    check_fraction,
    check_integer,
)
from keras_netopt.depth.layer import DepthLayer, build_block, check_block
from keras_netopt.serialization import export_class
from keras_netopt.training.branches import pure


@export_class
class AdaptiveComputation(DepthLayer):
    """Applies one cell again and again until each sample has had enough.

    After step n the state is s_n = cell(s_{n-1}), and a halting unit answers
    with h_n. A sample halts at the first step N at which the sum of its h
    reaches 1 - epsilon, at `max_steps` at the latest. Each step counts h_n,
    the last one what is left, R; the output is the sum of these times s_n.
    `ponder_cost * mean(N + R)` is added to the loss in training, so a step
    must be worth its price.

    Training unrolls all steps. Inference is a loop that ends when the last
    sample of the batch has halted: batches of one sample gain most.

    `ponder_cost` is a weight that `callbacks.Dial` moves; `mean_steps` is the
    running mean of N in training.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> inputs = keras.Input((8,))
    >>> cell = keras.layers.Dense(8, activation="tanh")
    >>> x = netopt.layers.AdaptiveComputation(cell, max_steps=6)(inputs)
    >>> model = keras.Model(inputs, keras.layers.Dense(3)(x))

    Args:
        cell: A layer or model of one input whose output has the shape of its
            input.
        max_steps: Steps that no sample exceeds, at least 1. Defaults to `16`.
        epsilon: What may be missing to 1 when a sample halts, a float in
            [0, 1); above 0 it lets samples halt after one step. Defaults to
            `0.01`.
        ponder_cost: Price of a step in units of the loss, at least 0; the
            result is sensitive to it. Defaults to `0.001`.
        **kwargs: As in every Keras layer: `name`, `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, ...)`.
        training: Whether steps are unrolled and cost. Keras sets it.

    Input shape:
        `(batch, features)` or `(batch, ..., features)`; the halting unit sees
        the mean over the axes between.

    Output shape:
        That of the input.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or, when the layer is
            built, if the cell changes the shape.

    Reference:
        Graves, "Adaptive computation time for recurrent neural networks",
        2016, https://arxiv.org/abs/1603.08983 (its tau is `ponder_cost`).
    """

    netopt_dials = {"ponder_cost": (0.0, math.inf)}

    def __init__(
        self,
        cell: keras.Layer,
        max_steps: int = 16,
        *,
        epsilon: float = 0.01,
        ponder_cost: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_block(cell, "cell")
        self.cell = cell
        self.max_steps = check_integer(max_steps, "max_steps", minimum=1)
        self.epsilon = check_fraction(epsilon, "epsilon")
        self.initial_ponder_cost = check_at_least_zero(
            ponder_cost, "ponder_cost"
        )

    def build(self, input_shape: Any) -> None:
        """Builds the cell, the halting unit and the dial."""
        build_block(self, self.cell, input_shape, "cell")
        self.halting = keras.layers.Dense(
            1, bias_initializer="ones", dtype="float32", name="halting"
        )
        self.halting.build((input_shape[0], input_shape[-1]))
        self.ponder_cost = self.add_dial(
            "ponder_cost", self.initial_ponder_cost
        )
        self.mean_steps = self.add_dial("mean_steps", float(self.max_steps))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the weighted sum of the states up to the halt."""
        if not training:
            return self._loop(inputs)
        outputs, _, steps, remainder = self._unrolled(inputs)
        self.add_loss(self.ponder_cost * ops.mean(steps + remainder))
        self.follow(self.mean_steps, ops.mean(steps))
        return outputs

    def netopt_calls(self, inputs: Any) -> list[tuple[keras.Layer, Any]]:
        """Returns what one step calls."""
        pooled = (inputs.shape[0], inputs.shape[-1])
        return [
            (self.cell, inputs),
            (self.halting, keras.KerasTensor(pooled, dtype="float32")),
        ]

    def netopt_shares(self, training: bool) -> dict[int, float]:
        """Returns how many steps are made, one sample at a time."""
        mean = float(self.mean_steps.numpy())
        steps = float(self.max_steps) if training else mean
        return {id(self.cell): steps, id(self.halting): steps}

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "cell": keras.saving.serialize_keras_object(self.cell),
            "max_steps": self.max_steps,
            "epsilon": self.epsilon,
            "ponder_cost": self.initial_ponder_cost,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "AdaptiveComputation":
        """Builds the layer again."""
        cell = keras.saving.deserialize_keras_object(config["cell"])
        return cls(**{**config, "cell": cell})

    def _unrolled(self, inputs: Any) -> tuple[Any, Any, Any, Any]:
        """Outputs, the weight of each step, N and R, a value a sample."""
        state, outputs, running, spent = self._begin(inputs)
        steps = remainder = ops.zeros_like(spent)
        weights = []
        for n in range(self.max_steps):
            steps = steps + running
            before = spent
            state, outputs, goes_on, spent = self._step(
                self.cell, self.halting, n, state, outputs, running, spent
            )
            remainder = remainder + (running - goes_on) * (1.0 - before)
            running = goes_on
            weights.append(spent - before)
        return outputs, ops.stack(weights, axis=1), steps, remainder

    def _loop(self, inputs: Any) -> Any:
        cell, halting = pure(self.cell), pure(self.halting)

        def goes_on(n: Any, *carried: Any) -> Any:
            running = carried[2]
            return ops.logical_and(n < self.max_steps, ops.any(running > 0.0))

        def body(n: Any, *carried: Any) -> Any:
            return n + 1, *self._step(cell, halting, n, *carried)

        first = ops.convert_to_tensor(0, dtype="int32")
        begin = (first, *self._begin(inputs))
        return ops.while_loop(goes_on, body, begin)[2]

    def _begin(self, inputs: Any) -> tuple[Any, Any, Any, Any]:
        one = ops.ones_like(ops.reshape(inputs, (ops.shape(inputs)[0], -1)))
        running = ops.cast(one[:, 0], "float32")
        return inputs, ops.zeros_like(inputs), running, running * 0.0

    def _step(
        self,
        cell: Any,
        halting: Any,
        n: Any,
        state: Any,
        outputs: Any,
        running: Any,
        spent: Any,
    ) -> tuple[Any, Any, Any, Any]:
        """One step; `running` is 1 for samples that have not halted."""
        state = ops.cast(cell(state), state.dtype)
        pooled = ops.cast(state, "float32")
        if len(state.shape) > 2:
            pooled = ops.mean(
                pooled, axis=tuple(range(1, len(state.shape) - 1))
            )
        h = ops.sigmoid(halting(pooled)[:, 0])
        is_last = ops.cast(n, "int32") >= self.max_steps - 1
        halts = ops.logical_or(spent + h >= 1.0 - self.epsilon, is_last)
        weight = running * ops.where(halts, 1.0 - spent, h)
        shape = (-1, *[1] * (len(state.shape) - 1))
        share = ops.cast(ops.reshape(weight, shape), state.dtype)
        running = running * ops.where(halts, 0.0, 1.0)
        return state, outputs + share * state, running, spent + weight
