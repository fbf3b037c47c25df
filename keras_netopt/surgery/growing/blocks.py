"""Builds what `deepen` inserts: blocks like the layer they stand behind."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.edits.edit import read
from keras_netopt.surgery.growing.anchors import Anchor, activation_of, nearest
from keras_netopt.surgery.growing.insert import Build, check_tensor

layers = keras.layers


class Chain:
    """Layers that are called one after the other.

    Args:
        members: The layers.
    """

    def __init__(self, members: Sequence[keras.Layer]) -> None:
        self.members = list(members)

    def __call__(self, tensor: Any) -> Any:
        """Calls the layers on a tensor."""
        for layer in self.members:
            tensor = layer(tensor)
        return tensor


@dataclass(frozen=True)
class BlockFactory:
    """Makes layers that fit behind an anchor.

    Args:
        anchor: The layer with what belongs to it.
        seed: Seeds of new weights; the names of layers play no part.
    """

    anchor: Anchor
    seed: tuple[int, ...]

    def residual_zero(self, name: str) -> Build:
        """A block x + F(x) that begins as x in both modes."""
        return self._residual(name, self._zero_end)

    def gaussian(self, name: str) -> Build:
        """A block x + F(x) that begins as AutoGrow's GauInit does."""
        return self._residual(name, self._gaussian_end)

    def identity(self, name: str) -> Build:
        """A layer that passes on what has passed its activation once."""
        activation = self.anchor.activation
        if activation is None or not is_idempotent(activation):
            shown = getattr(activation, "__name__", None) or (
                type(activation).__name__ if activation else "no activation"
            )
            raise ValueError(
                f"A layer that starts as the identity changes what comes out "
                f"of {shown}; expected an activation like ReLU, which leaves "
                'its own outputs as they are. Use init="residual_zero". '
                'Received: init="identity"'
            )
        kernel = self._kernel(name, None)
        kernel.build(self.anchor.end.tensor.shape)
        _pass_on(kernel.kernel)
        return Chain([kernel, self._activate(f"{name}_activation")])

    def copy(self, name: str) -> Build:
        """The layer once more, with its normalization and activation."""
        first, last = self.anchor.chain[0].node, self.anchor.end.tensor
        inputs = first.input_tensors
        if len(inputs) != 1 or inputs[0].shape != last.shape:
            raise ValueError(
                f"Layer '{self.anchor.layer.name}' can't be copied behind "
                f"itself: it takes {[t.shape for t in inputs]} and returns "
                f'{last.shape}. Use init="residual_zero". '
                'Received: init="copy"'
            )
        if not self.anchor.layer.weights:
            raise ValueError(
                f"Layer '{self.anchor.layer.name}' has no weights, a copy of "
                "it adds nothing. Name a layer with weights or a nested "
                'model, or use init="residual_zero". Received: init="copy"'
            )
        suffix = name.removeprefix(self.anchor.layer.name)
        copies = []
        for place in self.anchor.chain:
            old = place.node.operation
            if isinstance(old, keras.Layer):
                layer = _renamed(old, f"{old.name}{suffix}")
            else:
                layer = layers.Activation(activation_of(old), name=f"{name}_op")
            if not layer.built:
                layer.build(place.node.input_tensors[0].shape)
            layer.set_weights([read(w) for w in getattr(old, "weights", ())])
            copies.append(layer)
        return Chain(copies)

    def _residual(self, name: str, end: Callable[[Any, str], Any]) -> Build:
        first = self._kernel(f"{name}_first", None)

        def build(source: Any) -> Any:
            hidden = first(source)
            if self.anchor.norm is not None:
                hidden = _renamed(self.anchor.norm, f"{name}_norm")(hidden)
            hidden = self._activate(f"{name}_activation")(hidden)
            hidden = end(hidden, name)
            added = layers.Add(name=f"{name}_add", dtype=self._dtype)
            return added([source, hidden])

        return build

    def _zero_end(self, hidden: Any, name: str) -> Any:
        return self._kernel(f"{name}_last", "zeros")(hidden)

    def _gaussian_end(self, hidden: Any, name: str) -> Any:
        hidden = self._kernel(f"{name}_last", None)(hidden)
        norm, last = self.anchor.norm, f"{name}_last_norm"
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
        return getattr(self.anchor.layer, "dtype_policy", None)

    @property
    def _template(self) -> Any:
        return nearest(self.anchor.chain[0])

    @property
    def _channel_axis(self) -> int:
        form = getattr(self._template, "data_format", "channels_last")
        return 1 if form == "channels_first" else -1

    def _kernel(self, name: str, start: str | None) -> keras.Layer:
        """A dense layer or a convolution that keeps the shape."""
        like, shape = self._template, self.anchor.end.tensor.shape
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
        own: Any = getattr(self._template, "kernel_initializer", None)
        config = own.get_config() if hasattr(own, "get_config") else {}
        if "seed" not in config:
            return keras.initializers.GlorotUniform(self._seed(name))
        return type(own).from_config({**config, "seed": self._seed(name)})

    def _activate(self, name: str) -> keras.Layer:
        found = self.anchor.activation or keras.activations.relu
        if isinstance(found, keras.Layer):
            return _renamed(found, name)
        return layers.Activation(found, name=name, dtype=self._dtype)

    def _seed(self, name: str) -> int:
        part = zlib.crc32(name.removeprefix(self.anchor.layer.name).encode())
        words = np.random.SeedSequence([*self.seed, part])
        return int(words.generate_state(1)[0] >> 1)


def is_idempotent(activation: Any) -> bool:
    """Whether applying an activation twice is the same as applying it once.

    Example:

    >>> is_idempotent(keras.activations.relu6)
    True
    >>> is_idempotent(keras.activations.gelu)
    False

    Args:
        activation: A function, or a layer without weights.

    Returns:
        What a test on numbers from -8 to 8 says.
    """
    if isinstance(activation, keras.Layer):
        if isinstance(activation, layers.PReLU):
            return False
        activation = _renamed(activation, "probe")
    once = activation(keras.ops.linspace(-8.0, 8.0, 97, dtype="float32"))
    twice = activation(once)
    return bool(keras.ops.all(keras.ops.equal(once, twice)))


def _pass_on(kernel: Any) -> None:
    """Makes a kernel of odd size the identity."""
    value = np.zeros(kernel.shape, "float32")
    centre = tuple(size // 2 for size in kernel.shape[:-2])
    value[centre] = np.eye(*kernel.shape[-2:])
    kernel.assign(value)


def as_layer(tensor: Any, build: Build, name: str) -> keras.Model:
    """Makes one layer, a nested model, of a block.

    Args:
        tensor: The tensor that the block will be called on.
        build: The block.
        name: Name of the layer.

    Returns:
        The model.
    """
    source = keras.Input(
        batch_shape=tensor.shape, dtype=tensor.dtype, name=f"{name}_input"
    )
    target = build(source)
    check_tensor(source, target)
    return keras.Model(source, target, name=name)


def _renamed(layer: Any, name: str, **changes: Any) -> Any:
    config = {**layer.get_config(), "name": name, **changes}
    return type(layer).from_config(config)
