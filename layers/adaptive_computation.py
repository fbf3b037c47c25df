"""Repeats a cell for a number of steps that depends on the sample."""

import contextlib
import math
import threading
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.depth import halting
from keras_netopt.depth.depth_layer import (
    DepthLayer,
    build_block,
    check_block,
)
from keras_netopt.depth.halting_arguments import (
    MODES,
    SAMPLE,
    check_halting_arguments,
)
from keras_netopt.serialization import export_class
from keras_netopt.training.branches import make_stateless
from keras_netopt.training.replicas import mean_of_batch


@export_class
class AdaptiveComputation(DepthLayer):
    """Adaptive computation time: applies a cell until each sample halts.

    After step n the state is s_n = cell(s_{n-1}), and a halting unit outputs
    h_n. Training unrolls all steps. Inference is a loop that ends when the
    last sample of the batch has halted; it saves most at batch size 1.

    - `mode="act"`: a sample halts at the first step N at which the sum of h
      reaches 1 - epsilon. The weight of a step is h_n, that of the last one
      the remainder R; the output is the weighted sum of the states. The
      ponder cost `ponder_cost * mean(N + R)` is added to the training loss.
    - `mode="ponder"`: h_n is the conditional probability of halting at step
      n, p_n the unconditional one. `kl_weight * KL(p || prior)` is added to
      the loss. A `depth.PonderModel` trains the prediction of every step, as
      in the paper; in another model the training output is the sum of
      p_n s_n. The inference output is the state at the halting step.

    `ponder_cost` and `kl_weight` are weights that
    `callbacks.ParameterScheduler` can set; `mean_steps` is the running mean
    of N, or of its expectation, in training.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> inputs = keras.Input((8,))
    >>> cell = keras.layers.Dense(8, activation="tanh")
    >>> x = netopt.layers.AdaptiveComputation(cell, max_steps=6)(inputs)
    >>> model = keras.Model(inputs, keras.layers.Dense(3)(x))

    Args:
        cell: A layer or model with one input whose output has the shape of
            its input.
        max_steps: Largest number of steps, at least 1. Defaults to `16`.
        mode: "act" or "ponder". Defaults to `"act"`.
        epsilon: A sample halts when the sum of h reaches 1 - epsilon, a float
            in [0, 1); above 0 it allows halting after one step. Only for
            "act", like `ponder_cost`. Defaults to `None`: 0.01.
        ponder_cost: Loss per step, at least 0; the result is sensitive to it.
            Defaults to `None`: 0.001.
        prior: Halting probability per step of the geometric prior, in (0, 1):
            about 1 / the desired number of steps. Only for "ponder", like
            all that follow. Defaults to `None`: 0.2.
        kl_weight: Weight of the KL divergence, at least 0. Defaults to
            `None`: 0.01.
        halt_at: Halting rule at inference. "sample" samples the step from p,
            as in the paper. A float in (0, 1] halts at the first step at
            which the sum of p reaches it; this is deterministic, as exported
            files must be. Defaults to `None`: "sample".
        seed: Random seed, an integer of at least 0. Defaults to `None`: a
            random seed.
        **kwargs: As in every Keras layer: `name`, `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, ...)`.
        training: Whether all steps are unrolled and losses added. Set by
            Keras.

    Input shape:
        `(batch, features)` or `(batch, ..., features)`; the halting unit
        reads the mean over the axes between.

    Output shape:
        The input shape.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range or belongs to the other
            mode, or, when the layer is built, if the cell changes the shape.

    Reference:
        Graves, "Adaptive computation time for recurrent neural networks",
        2016, https://arxiv.org/abs/1603.08983 (its tau is `ponder_cost`);
        Banino, Balaguer and Blundell, "PonderNet: learning to ponder", 2021,
        https://arxiv.org/abs/2107.05407 (its lambda_p is `prior`, its beta
        `kl_weight`).
    """

    def __init__(
        self,
        cell: keras.Layer,
        max_steps: int = 16,
        mode: str = "act",
        *,
        epsilon: float | None = None,
        ponder_cost: float | None = None,
        prior: float | None = None,
        kl_weight: float | None = None,
        halt_at: float | str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_block(cell, "cell")
        self.cell = cell
        self.max_steps = check_integer(max_steps, "max_steps", minimum=1)
        check_choice(mode, "mode", MODES)
        self.mode = mode
        self.loss_weight_name = "ponder_cost" if mode == "act" else "kl_weight"
        self.settings = check_halting_arguments(
            mode,
            epsilon=epsilon,
            ponder_cost=ponder_cost,
            prior=prior,
            kl_weight=kl_weight,
            halt_at=halt_at,
            seed=seed,
        )
        # By thread: replicas of one layer wait for each other in a call.
        self._records: dict[int, halting.HaltingRecord] = {}

    @property
    def netopt_schedulable(self) -> dict[str, tuple[float, float]]:
        """The scheduled variable of this mode, and its range."""
        return {self.loss_weight_name: (0.0, math.inf)}

    def build(self, input_shape: Any) -> None:
        """Builds the cell, the halting unit and the scheduled variable."""
        build_block(self, self.cell, input_shape, "cell")
        bias = 1.0
        if self.mode == "ponder":  # The initial p is near the prior.
            rate = self.settings["prior"]
            bias = math.log(rate / (1.0 - rate))
            self.add_random_state(self.settings["seed"])
        self.halting = keras.layers.Dense(
            1,
            bias_initializer=keras.initializers.Constant(bias),
            dtype="float32",
            name="halting",
        )
        self.halting.build((input_shape[0], input_shape[-1]))
        name = self.loss_weight_name
        variable = self.add_scheduled_variable(name, self.settings[name])
        setattr(self, name, variable)
        self.mean_steps = self.add_scheduled_variable(
            "mean_steps", float(self.max_steps)
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the state at the halting step, or the weighted sum."""
        if not training:
            return self._loop(inputs)
        if self.mode == "ponder":
            return self._ponder(inputs)
        outputs, _, steps, remainder = self._unroll(inputs)
        self.add_loss(self.ponder_cost * ops.mean(steps + remainder))
        self.update_running_mean(self.mean_steps, mean_of_batch(steps))
        return outputs

    def count_steps(self, inputs: Any) -> Any:
        """Returns the number of steps of each sample.

        Args:
            inputs: Tensor of shape `(batch, ...)`.

        Returns:
            Tensor of shape `(batch,)`: N for "act", its expectation for
            "ponder".
        """
        if self.mode == "act":
            return self._unroll(inputs)[2]
        return halting.expected_steps(self._all_states(inputs)[1])

    @contextlib.contextmanager
    def netopt_all_steps(self) -> Iterator[halting.HaltingRecord]:
        """Makes training calls return the states of all steps.

        Yields:
            The record that the call fills. The output has the shape
            `(batch * steps, ...)`, the steps of a sample adjacent.
        """
        thread = threading.get_ident()
        self._records[thread] = halting.HaltingRecord()
        try:
            yield self._records[thread]
        finally:
            del self._records[thread]

    def netopt_inner_calls(self, inputs: Any) -> list[tuple[keras.Layer, Any]]:
        """Returns the layers that one step calls, with their inputs."""
        pooled = (inputs.shape[0], inputs.shape[-1])
        return [
            (self.cell, inputs),
            (self.halting, keras.KerasTensor(pooled, dtype="float32")),
        ]

    def netopt_execution_rates(self, training: bool) -> dict[int, float]:
        """Returns the mean number of steps at batch size 1."""
        mean = float(self.mean_steps.numpy())
        steps = float(self.max_steps) if training else mean
        return {id(self.cell): steps, id(self.halting): steps}

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "cell": keras.saving.serialize_keras_object(self.cell),
            "max_steps": self.max_steps,
            "mode": self.mode,
            **self.settings,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "AdaptiveComputation":
        """Builds the layer from its config."""
        cell = keras.saving.deserialize_keras_object(config["cell"])
        return cls(**{**config, "cell": cell})

    def _unroll(self, inputs: Any) -> tuple[Any, Any, Any, Any]:
        """Outputs, the weight of each step, N and R, per sample."""
        units, threshold = (self.cell, self.halting), self._threshold(inputs)
        values = self._initial_values(inputs)
        steps = remainder = ops.zeros_like(values[-1])
        weights = []
        for n in range(self.max_steps):
            _, _, was_running, before = values
            values = self._step(units, threshold, n, *values)
            _, outputs, running, cumulative = values
            steps = steps + was_running
            remainder = remainder + (was_running - running) * (1.0 - before)
            weights.append(cumulative - before)
        return outputs, ops.stack(weights, axis=1), steps, remainder

    def _all_states(self, inputs: Any) -> tuple[Any, Any]:
        """All states, on an axis after the batch axis, and p."""
        state, states, halting_outputs = inputs, [], []
        for _ in range(self.max_steps):
            state, h = self._next_state(self.cell, self.halting, state)
            states.append(state)
            halting_outputs.append(h)
        p = halting.halting_probabilities(ops.stack(halting_outputs, axis=1))
        return ops.stack(states, axis=1), p

    def _ponder(self, inputs: Any) -> Any:
        """All states as samples, or their mean weighted by p."""
        states, p = self._all_states(inputs)
        prior = halting.geometric_prior(self.settings["prior"], self.max_steps)
        divergence = ops.mean(halting.kl_divergence(p, prior))
        self.add_loss(self.kl_weight * divergence)
        steps = mean_of_batch(halting.expected_steps(p))
        self.update_running_mean(self.mean_steps, steps)
        record = self._records.get(threading.get_ident())
        if record is None:
            return ops.sum(states * _expand_like(p, states), axis=1)
        record.p = p
        threshold = self._threshold(inputs)
        record.halts = halting.halting_step_mask(p, threshold)
        return ops.reshape(states, (-1, *ops.shape(states)[2:]))

    def _loop(self, inputs: Any) -> Any:
        units = make_stateless(self.cell), make_stateless(self.halting)
        threshold = self._threshold(inputs)

        def is_running(n: Any, *values: Any) -> Any:
            running = values[2]
            return ops.logical_and(n < self.max_steps, ops.any(running > 0.0))

        def body(n: Any, *values: Any) -> Any:
            return n + 1, *self._step(units, threshold, n, *values)

        zero = ops.convert_to_tensor(0, dtype="int32")
        initial = (zero, *self._initial_values(inputs))
        return ops.while_loop(is_running, body, initial)[2]

    def _threshold(self, inputs: Any) -> Any:
        """The sum at which a sample halts."""
        if self.mode == "act":
            return 1.0 - self.settings["epsilon"]
        if self.settings["halt_at"] != SAMPLE:
            return self.settings["halt_at"]
        return self.sample_uniform_per_sample(inputs)

    def _initial_values(self, inputs: Any) -> tuple[Any, Any, Any, Any]:
        ones = ops.ones_like(ops.reshape(inputs, (ops.shape(inputs)[0], -1)))
        running = ops.cast(ones[:, 0], "float32")
        return inputs, ops.zeros_like(inputs), running, running * 0.0

    def _step(
        self, units: tuple[Any, Any], threshold: Any, n: Any, *values: Any
    ) -> tuple[Any, Any, Any, Any]:
        """One step; `running` is 1 for samples that have not halted."""
        state, outputs, running, cumulative = values
        state, h = self._next_state(*units, state)
        is_last = ops.cast(n, "int32") >= self.max_steps - 1
        apply_step = halting.apply_ponder_step
        if self.mode == "act":
            apply_step = halting.apply_act_step
        weight, running, cumulative = apply_step(
            h, running, cumulative, is_last, threshold
        )
        outputs = outputs + _expand_like(weight, state) * state
        return state, outputs, running, cumulative

    def _next_state(self, cell: Any, halting_unit: Any, state: Any) -> Any:
        """The next state, and the output of the halting unit."""
        state = ops.cast(cell(state), state.dtype)
        pooled = ops.cast(state, "float32")
        if len(state.shape) > 2:
            axes = tuple(range(1, len(state.shape) - 1))
            pooled = ops.mean(pooled, axis=axes)
        return state, ops.sigmoid(halting_unit(pooled)[:, 0])


def _expand_like(weight: Any, states: Any) -> Any:
    """Casts weights to the dtype of the states and adds axes."""
    while len(weight.shape) < len(states.shape):
        weight = ops.expand_dims(weight, -1)
    return ops.cast(weight, states.dtype)
