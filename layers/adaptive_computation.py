"""Repeats a cell as often as each sample needs it."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.depth import halting
from keras_netopt.depth.halting_settings import MODES, SAMPLE, settings_of
from keras_netopt.depth.layer import DepthLayer, build_block, check_block
from keras_netopt.serialization import export_class
from keras_netopt.training.branches import pure


@export_class
class AdaptiveComputation(DepthLayer):
    """Applies one cell again and again until each sample has had enough.

    After step n the state is s_n = cell(s_{n-1}), and a halting unit answers
    with h_n. Training unrolls all steps. Inference is a loop that ends when
    the last sample of the batch has halted: batches of one sample gain most.

    - `mode="act"`: a sample halts at the first step N at which the sum of its
      h reaches 1 - epsilon. Each step counts h_n, the last one what is left,
      R; the output is the sum of these times s_n. `ponder_cost * mean(N + R)`
      is added to the loss in training: a step must be worth its price.
    - `mode="ponder"`: h_n is the probability to halt at step n, and p_n that
      of getting there and halting. `kl_weight * KL(p || prior)` is added to
      the loss. A `depth.PonderModel` trains the answer of every step, as the
      paper does; in another model the output in training is the sum of
      p_n s_n. In inference the output is one state, that of the step at which
      the sample halts.

    `ponder_cost` and `kl_weight` are weights that
    `callbacks.ParameterScheduler` moves; `mean_steps` is the running mean of
    N, or of its expectation, in training.

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
        mode: "act" or "ponder". Defaults to `"act"`.
        epsilon: What may be missing to 1 when a sample halts, a float in
            [0, 1); above 0 it lets samples halt after one step. For "act"
            only, as `ponder_cost`. Defaults to `None`: 0.01.
        ponder_cost: Price of a step in units of the loss, at least 0; the
            result is sensitive to it. Defaults to `None`: 0.001.
        prior: The probability of halting at each step that KL pulls to, in
            (0, 1): about 1 over the steps wanted. For "ponder" only, as all
            that follow. Defaults to `None`: 0.2.
        kl_weight: What the divergence counts, at least 0. Defaults to
            `None`: 0.01.
        halt_at: "sample" draws the step from p in inference, as the paper
            does. A float in (0, 1] takes the first step at which the sum of
            p reaches it, the same each time; files for devices need it.
            Defaults to `None`: "sample".
        seed: Seed of the draws, an integer of at least 0. Defaults to
            `None`: a random one.
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
        self.price = "ponder_cost" if mode == "act" else "kl_weight"
        self.settings = settings_of(
            mode,
            epsilon=epsilon,
            ponder_cost=ponder_cost,
            prior=prior,
            kl_weight=kl_weight,
            halt_at=halt_at,
            seed=seed,
        )
        self._noted: halting.EveryStep | None = None

    @property
    def netopt_scheduled(self) -> dict[str, tuple[float, float]]:
        """The scheduled variable of this mode, and its range."""
        return {self.price: (0.0, math.inf)}

    def build(self, input_shape: Any) -> None:
        """Builds the cell, the halting unit and the scheduled variable."""
        build_block(self, self.cell, input_shape, "cell")
        bias = 1.0
        if self.mode == "ponder":  # The steps begin as the prior has them.
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
        scheduled = self.add_scheduled_variable(
            self.price, self.settings[self.price]
        )
        setattr(self, self.price, scheduled)
        self.mean_steps = self.add_scheduled_variable(
            "mean_steps", float(self.max_steps)
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the state at the halt, or the weighted sum of states."""
        if not training:
            return self._loop(inputs)
        if self.mode == "ponder":
            return self._ponder(inputs)
        outputs, _, steps, remainder = self._unrolled(inputs)
        self.add_loss(self.ponder_cost * ops.mean(steps + remainder))
        self.follow(self.mean_steps, ops.mean(steps))
        return outputs

    def steps(self, inputs: Any) -> Any:
        """Returns how many steps each sample is given, on average.

        Args:
            inputs: Tensor of shape `(batch, ...)`.

        Returns:
            Tensor of shape `(batch,)`: N in ACT, its expectation in ponder
            mode.
        """
        if self.mode == "act":
            return self._unrolled(inputs)[2]
        return halting.expected_steps(self._every_state(inputs)[1])

    @contextlib.contextmanager
    def netopt_every_step(self) -> Iterator[halting.EveryStep]:
        """Lets training calls return all states, each as a sample.

        Yields:
            What the layer notes in the call. Its output has the shape
            `(batch * steps, ...)`, the steps of a sample in a row.
        """
        self._noted = noted = halting.EveryStep()
        try:
            yield noted
        finally:
            self._noted = None

    def netopt_calls(self, inputs: Any) -> list[tuple[keras.Layer, Any]]:
        """Returns what one step calls."""
        pooled = (inputs.shape[0], inputs.shape[-1])
        return [
            (self.cell, inputs),
            (self.halting, keras.KerasTensor(pooled, dtype="float32")),
        ]

    def netopt_execution_rates(self, training: bool) -> dict[int, float]:
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
            "mode": self.mode,
            **self.settings,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "AdaptiveComputation":
        """Builds the layer again."""
        cell = keras.saving.deserialize_keras_object(config["cell"])
        return cls(**{**config, "cell": cell})

    def _unrolled(self, inputs: Any) -> tuple[Any, Any, Any, Any]:
        """Outputs, the weight of each step, N and R, a value a sample."""
        limit = self._limit(inputs)
        state, outputs, running, spent = self._begin(inputs)
        steps = remainder = ops.zeros_like(spent)
        weights = []
        for n in range(self.max_steps):
            steps = steps + running
            before, was_running = spent, running
            state, outputs, running, spent = self._step(
                self.cell,
                self.halting,
                limit,
                n,
                state,
                outputs,
                running,
                spent,
            )
            halts = was_running - running
            remainder = remainder + halts * (1.0 - before)
            weights.append(spent - before)
        return outputs, ops.stack(weights, axis=1), steps, remainder

    def _every_state(self, inputs: Any) -> tuple[Any, Any]:
        """All states, on an axis after that of the batch, and p."""
        state, states, answers = inputs, [], []
        for _ in range(self.max_steps):
            state, h = self._advance(self.cell, self.halting, state)
            states.append(state)
            answers.append(h)
        p = halting.halting_probabilities(ops.stack(answers, axis=1))
        return ops.stack(states, axis=1), p

    def _ponder(self, inputs: Any) -> Any:
        """All states as samples, or their mean, weighted by p."""
        states, p = self._every_state(inputs)
        prior = halting.geometric_prior(self.settings["prior"], self.max_steps)
        distance = ops.mean(halting.divergence(p, prior))
        self.add_loss(self.kl_weight * distance)
        self.follow(self.mean_steps, ops.mean(halting.expected_steps(p)))
        if self._noted is None:
            return ops.sum(states * _share(p, states), axis=1)
        self._noted.p = p
        self._noted.chosen = halting.halting_step(p, self._limit(inputs))
        return ops.reshape(states, (-1, *ops.shape(states)[2:]))

    def _loop(self, inputs: Any) -> Any:
        cell, halting_unit = pure(self.cell), pure(self.halting)
        limit = self._limit(inputs)

        def goes_on(n: Any, *carried: Any) -> Any:
            running = carried[2]
            return ops.logical_and(n < self.max_steps, ops.any(running > 0.0))

        def body(n: Any, *carried: Any) -> Any:
            return n + 1, *self._step(cell, halting_unit, limit, n, *carried)

        first = ops.convert_to_tensor(0, dtype="int32")
        begin = (first, *self._begin(inputs))
        return ops.while_loop(goes_on, body, begin)[2]

    def _limit(self, inputs: Any) -> Any:
        """The sum at which a sample halts."""
        if self.mode == "act":
            return 1.0 - self.settings["epsilon"]
        if self.settings["halt_at"] != SAMPLE:
            return self.settings["halt_at"]
        return self.drawn(ops.shape(inputs)[0])

    def _begin(self, inputs: Any) -> tuple[Any, Any, Any, Any]:
        one = ops.ones_like(ops.reshape(inputs, (ops.shape(inputs)[0], -1)))
        running = ops.cast(one[:, 0], "float32")
        return inputs, ops.zeros_like(inputs), running, running * 0.0

    def _step(
        self,
        cell: Any,
        halting_unit: Any,
        limit: Any,
        n: Any,
        state: Any,
        outputs: Any,
        running: Any,
        spent: Any,
    ) -> tuple[Any, Any, Any, Any]:
        """One step; `running` is 1 for samples that have not halted."""
        state, h = self._advance(cell, halting_unit, state)
        is_last = ops.cast(n, "int32") >= self.max_steps - 1
        rule = halting.act_step if self.mode == "act" else halting.ponder_step
        weight, running, spent = rule(h, running, spent, is_last, limit)
        return state, outputs + _share(weight, state) * state, running, spent

    def _advance(self, cell: Any, halting_unit: Any, state: Any) -> Any:
        """The next state, and what the halting unit answers to it."""
        state = ops.cast(cell(state), state.dtype)
        pooled = ops.cast(state, "float32")
        if len(state.shape) > 2:
            pooled = ops.mean(
                pooled, axis=tuple(range(1, len(state.shape) - 1))
            )
        return state, ops.sigmoid(halting_unit(pooled)[:, 0])


def _share(weight: Any, states: Any) -> Any:
    """Weights in the dtype of the states, with as many axes."""
    while len(weight.shape) < len(states.shape):
        weight = ops.expand_dims(weight, -1)
    return ops.cast(weight, states.dtype)
