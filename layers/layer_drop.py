"""A stack of blocks that can lose some of them."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_netopt.checks import check_bool, check_probability, check_seed
from keras_netopt.depth.layer import DepthLayer, build_block, check_block
from keras_netopt.serialization import export_class


@export_class
class LayerDrop(DepthLayer):
    """Runs blocks one after the other and leaves some out while training.

    Each block is dropped on its own, with one rate for all, and is then not
    computed. A network that has learnt to do without any of its blocks can be
    made shallower afterwards: `depth.extract` keeps every other one, without
    training again. Inference runs all blocks, and nothing is rescaled.

    `rate` is a weight that no optimizer trains: `callbacks.ParameterScheduler`
    moves it while `fit` runs. The draws are the same on every backend and go
    on where a saved model stopped.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> inputs = keras.Input((8,))
    >>> blocks = [keras.layers.Dense(8, activation="relu") for _ in range(4)]
    >>> x = netopt.layers.LayerDrop(blocks, 0.2, residual=True)(inputs)
    >>> model = keras.Model(inputs, keras.layers.Dense(3)(x))
    >>> shallow = netopt.depth.extract(model, keep="every_other")
    >>> model.count_params() - shallow.count_params()  # and 3 of the stack
    147

    Args:
        blocks: Layers or models of one input whose output has the shape of
            their input, at least one.
        rate: Probability that a block is dropped, a float in [0, 1]: 0.1 to
            0.2 for quality, 0.5 where half of the blocks will go. Defaults to
            `0.2`.
        residual: Whether the input of each block is added to its output
            here. Defaults to `False`: blocks add it themselves, as those of
            transformers do.
        seed: Seed of the draws, an int. Defaults to `None`: a random one.
        **kwargs: As in every Keras layer: `name`, `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, ...)`.
        training: Whether blocks are dropped. Keras sets it.

    Input shape:
        `(batch, ...)`, any rank that the blocks take.

    Output shape:
        That of the input.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or, when the layer is
            built, if a block changes the shape.

    Reference:
        Fan, Grave and Joulin, "Reducing transformer depth on demand with
        structured dropout", 2019, https://arxiv.org/abs/1909.11556 (its p is
        `rate`).
    """

    netopt_scheduled = {"rate": (0.0, 1.0)}

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
                "Argument `blocks` must be a list of Keras layers, at least "
                f"one. Received: blocks={blocks!r}"
            )
        for block in blocks:
            check_block(block, "blocks")
        self.blocks = list(blocks)
        self.initial_rate = check_probability(rate, "rate")
        self.residual = check_bool(residual, "residual")
        self.seed = check_seed(seed)

    @property
    def netopt_stack(self) -> tuple[list[keras.Layer], bool]:
        """The blocks, and whether their inputs are added to them."""
        return list(self.blocks), self.residual

    def build(self, input_shape: Any) -> None:
        """Builds the blocks, `rate` and the state of the draws."""
        for block in self.blocks:
            build_block(self, block, input_shape)
        self.rate = self.add_scheduled_variable("rate", self.initial_rate)
        self.add_random_state(self.seed)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns what the blocks that are kept make of the inputs."""
        x = inputs
        if not training:
            for block in self.blocks:
                x = self._joined(x, block(x))
            return x
        keep = self.keeps(self.rate, len(self.blocks))
        for k, block in enumerate(self.blocks):
            x = self.call_block_if(
                keep[k], block, x, lambda outputs, x=x: self._joined(x, outputs)
            )
        return x

    def netopt_execution_rates(self, training: bool) -> dict[int, float]:
        """Returns how often each block runs on average."""
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
        """Builds the layer again."""
        blocks = [
            keras.saving.deserialize_keras_object(block)
            for block in config["blocks"]
        ]
        return cls(**{**config, "blocks": blocks})

    def _joined(self, inputs: Any, outputs: Any) -> Any:
        outputs = ops.cast(outputs, inputs.dtype)
        return inputs + outputs if self.residual else outputs
