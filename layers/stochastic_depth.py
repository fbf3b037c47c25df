"""Stochastic depth: drops residual blocks at random during training."""

from typing import Any

import keras
from keras import ops

from keras_netopt.checks import (
    check_bool,
    check_choice,
    check_probability,
    check_seed,
)
from keras_netopt.depth.depth_layer import BlockWrapper
from keras_netopt.serialization import export_class

MODES = ("sample", "batch")
SCALES = ("train", "inference")


@export_class
class StochasticDepth(BlockWrapper):
    """Residual block that is skipped at random during training.

    Stochastic depth regularizes deep networks. With `mode="batch"` a dropped
    block is not computed, which shortens the training step. At inference
    every block runs. With the block F, the survival probability p = 1 - rate
    and b sampled as 1 with probability p, otherwise 0:

    | `scale` | training | inference |
    | --- | --- | --- |
    | "train" | x + b F(x) / p | x + F(x) |
    | "inference" | x + b F(x) | x + p F(x) |
    | `None` | x + b F(x) | x + F(x) |

    `rate` is a non-trainable weight that `callbacks.ParameterScheduler` can
    set during `fit`. Random numbers are the same on every backend, and a
    reloaded model continues their sequence.

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
        block: The residual branch F: a layer or model with one input whose
            output has the shape of its input.
        rate: Drop rate, the probability that the block is dropped, a float in
            [0, 1]. Defaults to `0.2`.
        mode: "sample" drops the block per sample and saves no computation;
            "batch" drops it per training step and does not compute it.
            Defaults to `"sample"`.
        scale: When the block's output is scaled, so that its mean is equal in
            training and inference: "train", "inference", or `None` for no
            scaling. Use the value that the weights were trained with.
            Defaults to `"train"`.
        residual: Whether this layer adds `x`. `False` for a block with its
            own skip connection; F(x) is then block(x) - x. Defaults to
            `True`.
        seed: Random seed, an integer. Defaults to `None`: a random seed.
        **kwargs: As in every Keras layer: `name`, `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, ...)`.
        training: Whether blocks are dropped. Set by Keras.

    Input shape:
        `(batch, ...)`, any rank that the block accepts.

    Output shape:
        The input shape.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or, when the layer is
            built, if the block changes the shape.

    Reference:
        Huang et al., "Deep networks with stochastic depth", 2016,
        https://arxiv.org/abs/1603.09382 (its p_l is 1 - `rate`; it scales at
        inference).
    """

    netopt_schedulable = {"rate": (0.0, 1.0)}

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
        """Builds the block, `rate` and the random state."""
        super().build(input_shape)
        self.rate = self.add_scheduled_variable("rate", self.initial_rate)
        self.add_random_state(self.seed)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the inputs plus the block's output unless it is dropped."""
        if not training:
            factor = 1.0 - self.rate if self.scale == "inference" else None
            return self._combine(inputs, self.block(inputs), factor)
        if self.mode == "sample":
            keep = self.sample_uniform_per_sample(inputs) >= self.rate
            ones = [1] * (len(inputs.shape) - 1)
            factor = ops.reshape(self._block_factor(keep), (-1, *ones))
            return self._combine(inputs, self.block(inputs), factor)
        keep = self.sample_keep_mask(self.rate, 1)[0]
        factor = self._block_factor(keep)
        return self.call_block_if(
            keep,
            self.block,
            inputs,
            lambda outputs: self._combine(inputs, outputs, factor),
        )

    def netopt_execution_rates(self, training: bool) -> dict[int, float]:
        """Returns the probability that the block runs."""
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

    def _block_factor(self, keep: Any) -> Any:
        """Returns the factor of the block's output: b, or b / p."""
        kept = ops.cast(keep, "float32")
        if self.scale != "train":
            return kept
        survival = 1.0 - self.rate
        # At rate 1, 0 / 0 would give NaN gradients.
        return kept / ops.where(survival > 0.0, survival, 1.0)

    def _combine(self, inputs: Any, outputs: Any, factor: Any) -> Any:
        outputs = ops.cast(outputs, inputs.dtype)
        if factor is None:
            return inputs + outputs if self.residual else outputs
        factor = ops.cast(factor, inputs.dtype)
        if self.residual:
            return inputs + outputs * factor
        return inputs * (1.0 - factor) + outputs * factor
