"""Drops whole blocks at random while a network trains."""

from typing import Any

import keras
from keras import ops

from keras_netopt.checks import (
    check_bool,
    check_choice,
    check_probability,
    check_seed,
)
from keras_netopt.depth.layer import BlockLayer
from keras_netopt.serialization import export_class

MODES = ("sample", "batch")
SCALES = ("train", "inference")


@export_class
class StochasticDepth(BlockLayer):
    """Adds a block to its input, and leaves the block out now and then.

    A deep network of which a random part trains in each step is regularized,
    and with `mode="batch"` its steps are cheaper: a dropped block is not
    computed. In inference every block runs. With F the block, p = 1 - rate
    and b drawn as 1 with probability p, else 0:

    | `scale` | in training | in inference |
    | --- | --- | --- |
    | "train" | x + b F(x) / p | x + F(x) |
    | "inference" | x + b F(x) | x + p F(x) |
    | `None` | x + b F(x) | x + F(x) |

    `rate` is a weight that no optimizer trains: `callbacks.ParameterScheduler`
    moves it while `fit` runs. The draws are the same on every backend and go
    on where a saved model stopped.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> inputs = keras.Input((8,))
    >>> x = inputs
    >>> for rate in netopt.depth.linear_rates(4, 0.5):
    ...     block = keras.layers.Dense(8, activation="relu")
    ...     x = netopt.layers.StochasticDepth(block, rate, mode="batch")(x)
    >>> model = keras.Model(inputs, keras.layers.Dense(3)(x))

    Args:
        block: A layer or model of one input whose output has the shape of
            its input: what is added to `x`.
        rate: Probability that the block is dropped, a float in [0, 1].
            Defaults to `0.2`.
        mode: "sample" drops for each sample on its own and saves nothing;
            "batch" draws once a step and does not run a dropped block.
            Defaults to `"sample"`.
        scale: Where the block's output is scaled so that both phases agree
            on average: "train", "inference", or `None` for nowhere. Weights
            trained with one belong to that one. Defaults to `"train"`.
        residual: Whether `x` is added here. `False` for a block that adds
            its input itself; F(x) is then block(x) - x. Defaults to `True`.
        seed: Seed of the draws, an int. Defaults to `None`: a random one.
        **kwargs: As in every Keras layer: `name`, `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, ...)`.
        training: Whether blocks are dropped. Keras sets it.

    Input shape:
        `(batch, ...)`, any rank that the block takes.

    Output shape:
        That of the input.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or, when the layer is
            built, if the block changes the shape.

    Reference:
        Huang et al., "Deep networks with stochastic depth", 2016,
        https://arxiv.org/abs/1603.09382 (its p_l is 1 - `rate`; it scales in
        inference).
    """

    netopt_scheduled = {"rate": (0.0, 1.0)}

    def __init__(
        self,
        block: keras.Layer,
        rate: float = 0.2,
        *,
        mode: str = "sample",
        scale: str | None = "train",
        residual: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(block, **kwargs)
        self.initial_rate = check_probability(rate, "rate")
        check_choice(mode, "mode", MODES)
        if scale is not None:
            check_choice(scale, "scale", SCALES)
        self.mode = mode
        self.scale = scale
        self.residual = check_bool(residual, "residual")
        self.seed = check_seed(seed)

    def build(self, input_shape: Any) -> None:
        """Builds the block, `rate` and the state of the draws."""
        super().build(input_shape)
        self.rate = self.add_scheduled_variable("rate", self.initial_rate)
        self.add_random_state(self.seed)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the inputs with or without what the block adds."""
        if not training:
            share = 1.0 - self.rate if self.scale == "inference" else None
            return self._mixed(inputs, self.block(inputs), share)
        if self.mode == "sample":
            keep = self.keeps(self.rate, ops.shape(inputs)[0])
            ones = [1] * (len(inputs.shape) - 1)
            share = ops.reshape(self._share(keep), (-1, *ones))
            return self._mixed(inputs, self.block(inputs), share)
        keep = self.keeps(self.rate, 1)[0]
        share = self._share(keep)
        return self.call_block_if(
            keep,
            self.block,
            inputs,
            lambda outputs: self._mixed(inputs, outputs, share),
        )

    def netopt_execution_rates(self, training: bool) -> dict[int, float]:
        """Returns how often the block runs on average."""
        if not training or self.mode == "sample":
            return {}
        return {id(self.block): 1.0 - float(self.rate.numpy())}

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "rate": self.initial_rate,
            "mode": self.mode,
            "scale": self.scale,
            "residual": self.residual,
            "seed": self.seed,
        }

    def _share(self, keep: Any) -> Any:
        """How much of the block counts where it is kept: b or b / p."""
        kept = ops.cast(keep, "float32")
        if self.scale != "train":
            return kept
        survival = 1.0 - self.rate
        # Nothing is kept at rate 1, where 0 / 0 would give NaN gradients.
        return kept / ops.where(survival > 0.0, survival, 1.0)

    def _mixed(self, inputs: Any, outputs: Any, share: Any) -> Any:
        outputs = ops.cast(outputs, inputs.dtype)
        if share is None:
            return inputs + outputs if self.residual else outputs
        share = ops.cast(share, inputs.dtype)
        if self.residual:
            return inputs + outputs * share
        return inputs * (1.0 - share) + outputs * share
