"""LayerDrop: a stack of blocks that are dropped at random."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_netopt.checks import check_bool, check_probability, check_seed
from keras_netopt.depth.depth_layer import DepthLayer, build_block, check_block
from keras_netopt.serialization import export_class


@export_class
class LayerDrop(DepthLayer):
    """Runs a stack of blocks and drops each at random during training.

    Blocks are dropped independently with one rate; a dropped block is not
    computed. A network trained this way can be made shallower without further
    training: `depth.extract_subnetwork` keeps every other block. Inference
    runs all blocks without rescaling.

    `rate` is a non-trainable weight that `callbacks.ParameterScheduler` can
    set during `fit`. Random numbers are the same on every backend, and a
    reloaded model continues their sequence.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> inputs = keras.Input((8,))
    >>> blocks = [keras.layers.Dense(8, activation="relu") for _ in range(4)]
    >>> x = netopt.layers.LayerDrop(blocks, 0.2, residual=True)(inputs)
    >>> model = keras.Model(inputs, keras.layers.Dense(3)(x))
    >>> shallow = netopt.depth.extract_subnetwork(model, keep="every_other")
    >>> model.count_params() - shallow.count_params()  # 3 of the stack
    147

    Args:
        blocks: At least one layer or model with one input whose output has
            the shape of its input.
        rate: Drop rate, the probability that a block is dropped, a float in
            [0, 1]: 0.1 to 0.2 as a regularizer, 0.5 if half of the blocks
            will be removed. Defaults to `0.2`.
        residual: Whether this layer adds the input of each block to its
            output. Defaults to `False`: the blocks have their own skip
            connection, as transformer blocks do.
        seed: Random seed, an integer. Defaults to `None`: a random seed.
        **kwargs: As in every Keras layer: `name`, `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, ...)`.
        training: Whether blocks are dropped. Set by Keras.

    Input shape:
        `(batch, ...)`, any rank that the blocks accept.

    Output shape:
        The input shape.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or, when the layer is
            built, if a block changes the shape.

    Reference:
        Fan, Grave and Joulin, "Reducing transformer depth on demand with
        structured dropout", 2019, https://arxiv.org/abs/1909.11556 (its p is
        `rate`).
    """

    netopt_schedulable = {"rate": (0.0, 1.0)}

    def __init__(
        self,
        blocks: Sequence[keras.Layer],
        rate: float = 0.2,
        *,
        residual: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(blocks, list | tuple) or not blocks:
            raise TypeError(
                "Argument `blocks` must be a list of at least one Keras layer. "
                f"Received: blocks={blocks!r}"
            )
        for block in blocks:
            check_block(block, "blocks")
        self.blocks = list(blocks)
        self.initial_rate = check_probability(rate, "rate")
        self.residual = check_bool(residual, "residual")
        self.seed = check_seed(seed)

    @property
    def netopt_block_stack(self) -> tuple[list[keras.Layer], bool]:
        """The blocks, and whether their inputs are added to their outputs."""
        return list(self.blocks), self.residual

    def build(self, input_shape: Any) -> None:
        """Builds the blocks, `rate` and the random state."""
        for block in self.blocks:
            build_block(self, block, input_shape)
        self.rate = self.add_scheduled_variable("rate", self.initial_rate)
        self.add_random_state(self.seed)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the output of the kept blocks."""
        x = inputs
        if not training:
            for block in self.blocks:
                x = self._combine(x, block(x))
            return x
        keep = self.sample_keep_mask(self.rate, len(self.blocks))
        for k, block in enumerate(self.blocks):
            x = self.call_block_if(
                keep[k],
                block,
                x,
                lambda outputs, x=x: self._combine(x, outputs),
            )
        return x

    def netopt_execution_rates(self, training: bool) -> dict[int, float]:
        """Returns the probability that each block runs."""
        if not training:
            return {}
        share = 1.0 - float(self.rate.numpy())
        return {id(block): share for block in self.blocks}

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "blocks": [
                keras.saving.serialize_keras_object(block)
                for block in self.blocks
            ],
            "rate": self.initial_rate,
            "residual": self.residual,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "LayerDrop":
        """Builds the layer from its config."""
        blocks = [
            keras.saving.deserialize_keras_object(block)
            for block in config["blocks"]
        ]
        return cls(**{**config, "blocks": blocks})

    def _combine(self, inputs: Any, outputs: Any) -> Any:
        outputs = ops.cast(outputs, inputs.dtype)
        return inputs + outputs if self.residual else outputs
