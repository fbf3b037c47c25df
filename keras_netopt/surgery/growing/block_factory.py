"""Builds the blocks that `deepen` inserts."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.insert_block import (
    BlockFunction,
    check_block_output,
)
from keras_netopt.graph.read_value import to_numpy
from keras_netopt.surgery.growing.template_block import (
    TemplateBlock,
    activation_of,
    find_template_layer,
)

layers = keras.layers


class LayerSequence:
    """Layers that are called in order."""

    def __init__(self, layers: Sequence[Any]) -> None:
        self.layers = list(layers)

    def __call__(self, tensor: Any) -> Any:
        """Calls the layers on a tensor, in order."""
        for layer in self.layers:
            tensor = layer(tensor)
        return tensor


@dataclass(frozen=True)
class BlockFactory:
    """Builds layers that fit after a template block.

    New weights depend on `seed`, not on the names of the layers.
    """

    template: TemplateBlock
    seed: tuple[int, ...]

    def residual_zero(self, name: str) -> BlockFunction:
        """Builds x + F(x) with F(x) = 0 in inference and training mode."""
        return self._residual(name, self._zero_last)

    def gaussian(self, name: str) -> BlockFunction:
        """Builds x + F(x) initialized as AutoGrow's GauInit."""
        return self._residual(name, self._gaussian_last)

    def identity(self, name: str) -> BlockFunction:
        """Builds a layer whose kernel is the identity."""
        activation = self.template.activation
        if activation is None or not is_idempotent(activation):
            shown = getattr(activation, "__name__", None) or (
                type(activation).__name__ if activation else "no activation"
            )
            raise ValueError(
                'Argument `init` can be "identity" only after an idempotent '
                f"activation such as ReLU; the activation here is {shown}. "
                'Use init="residual_zero". Received: init="identity"'
            )
        kernel = self._kernel(name, None)
        kernel.build(self.template.last_call.output.shape)
        _set_identity(kernel.kernel)
        return LayerSequence([kernel, self._activate(f"{name}_activation")])

    def copy(self, name: str) -> BlockFunction:
        """Copies the layer with its normalization and activation."""
        first, last = (
            self.template.calls[0],
            self.template.last_call.output,
        )
        inputs = first.input_tensors
        if len(inputs) != 1 or inputs[0].shape != last.shape:
            raise ValueError(
                f"Layer '{self.template.layer.name}' cannot be copied after "
                f"itself: it takes {[t.shape for t in inputs]} and returns "
                f'{last.shape}. Use init="residual_zero". '
                'Received: init="copy"'
            )
        if not self.template.layer.weights:
            raise ValueError(
                f"Layer '{self.template.layer.name}' has no weights, so a copy "
                "has no effect. Name a layer with weights or a nested "
                'model, or use init="residual_zero". Received: init="copy"'
            )
        suffix = name.removeprefix(self.template.layer.name)
        copies = []
        for call in self.template.calls:
            old = call.operation
            if isinstance(old, keras.Layer):
                layer = _renamed(old, f"{old.name}{suffix}")
            else:
                layer = layers.Activation(activation_of(old), name=f"{name}_op")
            if not layer.built:
                layer.build(call.input_tensors[0].shape)
            layer.set_weights(
                [to_numpy(w) for w in getattr(old, "weights", ())]
            )
            copies.append(layer)
        return LayerSequence(copies)

    def _residual(
        self, name: str, last: Callable[[Any, str], Any]
    ) -> BlockFunction:
        first = self._kernel(f"{name}_first", None)

        def build(source: Any) -> Any:
            hidden = first(source)
            if self.template.norm is not None:
                hidden = _renamed(self.template.norm, f"{name}_norm")(hidden)
            hidden = self._activate(f"{name}_activation")(hidden)
            hidden = last(hidden, name)
            added = layers.Add(name=f"{name}_add", dtype=self._dtype)
            return added([source, hidden])

        return build

    def _zero_last(self, hidden: Any, name: str) -> Any:
        return self._kernel(f"{name}_last", "zeros")(hidden)

    def _gaussian_last(self, hidden: Any, name: str) -> Any:
        hidden = self._kernel(f"{name}_last", None)(hidden)
        norm, last = self.template.norm, f"{name}_last_norm"
        gamma = keras.initializers.RandomNormal(0.0, 1.0, self._seed(last))
        if isinstance(norm, layers.BatchNormalization):
            made = _renamed(norm, last, gamma_initializer=gamma, scale=True)
        else:
            made = layers.BatchNormalization(
                axis=self._channel_axis,
                gamma_initializer=gamma,
                name=last,
                dtype=self._dtype,
            )
        return made(hidden)

    @property
    def _dtype(self) -> Any:
        return getattr(self.template.layer, "dtype_policy", None)

    @property
    def _like(self) -> Any:
        return find_template_layer(self.template.calls[0])

    @property
    def _channel_axis(self) -> int:
        form = getattr(self._like, "data_format", "channels_last")
        return 1 if form == "channels_first" else -1

    def _kernel(self, name: str, start: str | None) -> keras.Layer:
        """Builds a dense layer or convolution that preserves the shape."""
        like, shape = self._like, self.template.last_call.output.shape
        options: dict[str, Any] = {
            key: getattr(like, key, None)
            for key in (
                "bias_regularizer",
                "bias_constraint",
                "kernel_regularizer",
                "kernel_constraint",
            )
        }
        options["use_bias"] = getattr(like, "use_bias", True)
        options["dtype"] = self._dtype
        options["name"] = name
        options["kernel_initializer"] = self._initializer(name, start)
        count = shape[self._channel_axis]
        if not hasattr(like, "kernel_size"):
            return layers.Dense(count, **options)
        size = tuple(k if k % 2 else k + 1 for k in like.kernel_size)
        made = getattr(layers, f"Conv{len(size)}D")
        form = {"data_format": like.data_format, "padding": "same"}
        return made(count, size, **form, **options)

    def _initializer(self, name: str, start: str | None) -> Any:
        if start is not None:
            return start
        own: Any = getattr(self._like, "kernel_initializer", None)
        config = own.get_config() if hasattr(own, "get_config") else {}
        if "seed" not in config:
            return keras.initializers.GlorotUniform(self._seed(name))
        return type(own).from_config({**config, "seed": self._seed(name)})

    def _activate(self, name: str) -> keras.Layer:
        found = self.template.activation or keras.activations.relu
        if isinstance(found, keras.Layer):
            return _renamed(found, name)
        return layers.Activation(found, name=name, dtype=self._dtype)

    def _seed(self, name: str) -> int:
        part = zlib.crc32(name.removeprefix(self.template.layer.name).encode())
        words = np.random.SeedSequence([*self.seed, part])
        return int(words.generate_state(1)[0] >> 1)


def is_idempotent(activation: Any) -> bool:
    """Tests on 97 numbers in [-8, 8] whether applying twice equals once.

    `activation` is a function, or a layer without weights.
    """
    if isinstance(activation, keras.Layer):
        if isinstance(activation, layers.PReLU):
            return False
        activation = _renamed(activation, "probe")
    once = activation(keras.ops.linspace(-8.0, 8.0, 97, dtype="float32"))
    twice = activation(once)
    return bool(keras.ops.all(keras.ops.equal(once, twice)))


def _set_identity(kernel: Any) -> None:
    """Sets a kernel of odd size to the identity."""
    value = np.zeros(kernel.shape, "float32")
    centre = tuple(size // 2 for size in kernel.shape[:-2])
    value[centre] = np.eye(*kernel.shape[-2:])
    kernel.assign(value)


def wrap_as_layer(tensor: Any, build: BlockFunction, name: str) -> keras.Model:
    """Wraps a block that starts at `tensor` as one layer, a nested model."""
    source = keras.Input(
        batch_shape=tensor.shape, dtype=tensor.dtype, name=f"{name}_input"
    )
    target = build(source)
    check_block_output(source, target)
    return keras.Model(source, target, name=name)


def _renamed(layer: Any, name: str, **changes: Any) -> Any:
    config = {**layer.get_config(), "name": name, **changes}
    return type(layer).from_config(config)
