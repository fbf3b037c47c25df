"""Base classes of the adaptive-depth layers."""

import random
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.training.branches import call_if
from keras_netopt.training.counter_random import uniform
from keras_netopt.training.replicas import first_place


class DepthLayer(keras.layers.Layer):
    """Base of layers around blocks; all changing values are weights.

    Subclasses create scheduled variables in `build` with
    `add_scheduled_variable`, so that `callbacks.ParameterScheduler` can set
    them during `fit`. Random numbers are a function of two saved weights, a
    seed and a counter: a resumed `fit` draws the same numbers as an
    uninterrupted one, on every backend.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def add_scheduled_variable(self, name: str, value: float) -> Any:
        """Adds a non-trainable scalar weight."""
        return self.add_weight(
            name=name,
            shape=(),
            initializer=keras.initializers.Constant(value),
            dtype="float32",
            trainable=False,
            autocast=False,
        )

    def add_random_state(self, seed: int | None) -> None:
        """Adds the weight that `sample_uniform` uses."""
        if seed is None:
            seed = random.randrange(2**31)
        self.random_state = self.add_weight(
            name="random_state",
            shape=(2,),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(
                np.array([seed % 2**31, 0]), dtype=dtype
            ),
            dtype="int32",
            trainable=False,
        )

    def update_running_mean(self, variable: Any, value: Any) -> None:
        """Updates a running mean of batches, with momentum 0.9."""
        variable.assign(0.9 * variable + 0.1 * ops.stop_gradient(value))

    def sample_keep_mask(self, rate: Any, count: Any) -> Any:
        """Samples `count` booleans that are true with probability 1 - rate."""
        return self.sample_uniform(count) >= rate

    def sample_uniform(self, count: Any) -> Any:
        """Samples `count` numbers in [0, 1), new ones at each call."""
        return self._draw(count, 0)

    def sample_uniform_per_sample(self, inputs: Any) -> Any:
        """Samples a number in [0, 1) for each sample of the batch."""
        count = ops.shape(inputs)[0]
        return self._draw(count, first_place(count))

    def call_block_if(
        self,
        predicate: Any,
        block: keras.Layer,
        inputs: Any,
        combine: Any,
        *,
        training: bool = True,
    ) -> Any:
        """Calls `call_if` and adds the losses of the block to this layer."""
        outputs, loss = call_if(
            predicate, block, inputs, combine, keeps_state=training
        )
        if loss is not None:
            self.add_loss(loss)
        return outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input shape, which blocks keep."""
        return input_shape

    def _draw(self, count: Any, begin: Any) -> Any:
        seed, step = self.random_state[0], self.random_state[1]
        self.random_state.assign(ops.stack([seed, step + 1]))
        return uniform(seed, step, count, begin)


class BlockWrapper(DepthLayer):
    """Base of layers around one block that keeps the shape of its input."""

    def __init__(self, block: keras.Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_block(block, "block")
        self.block = block

    def build(self, input_shape: Any) -> None:
        """Builds the block and checks that it keeps the shape."""
        build_block(self, self.block, input_shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        block = keras.saving.serialize_keras_object(self.block)
        return {**super().get_config(), "block": block}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Builds the layer from its config."""
        block = keras.saving.deserialize_keras_object(config["block"])
        return cls(**{**config, "block": block})


def check_block(block: Any, name: str) -> None:
    """Refuses an argument that is not a Keras layer or model."""
    if not isinstance(block, keras.layers.Layer):
        raise TypeError(
            f"Argument `{name}` must be a Keras layer or model. "
            f"Received: {name}={block!r} of type {type(block).__name__}"
        )


def build_block(
    owner: keras.Layer,
    block: keras.Layer,
    input_shape: Any,
    name: str = "block",
) -> None:
    """Builds a block with all layers inside it.

    A block whose output shape differs from its input shape (batch axis
    included) is refused; `name` is the argument in the message.
    """
    shape = tuple(input_shape) if _is_shape(input_shape) else input_shape
    spec = None
    if _is_shape(shape):
        inputs = keras.KerasTensor(shape, dtype=block.compute_dtype)
        if type(block).build is keras.layers.Layer.build:
            block.compute_output_spec(inputs)  # Builds the layers inside.
        if not block.built:
            block.build(shape)
        spec = block.compute_output_spec(inputs)
    found = getattr(spec, "shape", None)
    if not _is_shape(shape) or found is None or not _compatible(shape, found):
        output_shape = keras.tree.map_structure(lambda s: tuple(s.shape), spec)
        raise ValueError(
            f"Argument `{name}` of {type(owner).__name__} must have one input "
            "and an output of the same shape, which can be added to it. "
            f"Received: {name}={block.name!r} with inputs of shape {shape} "
            f"and outputs of shape {output_shape}"
        )


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, list | tuple) and all(
        axis is None or isinstance(axis, int) for axis in shape
    )


def _compatible(
    one: tuple[int | None, ...], other: tuple[int | None, ...]
) -> bool:
    return len(one) == len(other) and all(
        a == b or a is None or b is None
        for a, b in zip(one, other, strict=True)
    )
