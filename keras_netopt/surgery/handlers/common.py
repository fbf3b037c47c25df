"""What several handlers share.

Private name of Keras 3.15: `Layer._layers`.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.graph.units import Unsupported

_ALONE = (
    "celu elu exponential gelu hard_shrink hard_sigmoid hard_silu hard_swish "
    "hard_tanh leaky_relu linear log_sigmoid mish relu relu6 selu sigmoid "
    "silu soft_shrink softplus softsign sparse_plus sparse_sigmoid "
    "squareplus swish tanh tanh_shrink threshold"
).split()
_FUNCTIONS = [
    getattr(module, name)
    for name in _ALONE
    for module in (keras.activations, keras.ops)
    if hasattr(module, name)
]
ACTIVATION_LAYERS = (
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.ELU,
)


def inputs_of(graph: Any, node: Any) -> list[Any]:
    """The input tensors of a call, without its masks."""
    masks = [
        mask
        for name, value in node.arguments.kwargs.items()
        if name == "mask" or name.endswith("_mask")
        for mask in keras.tree.flatten(value)
    ]
    if any(graph.axes(mask) for mask in masks):
        raise Unsupported("is called with a mask of channels")
    hidden = {id(mask) for mask in masks}
    return [t for t in node.input_tensors if id(t) not in hidden]


def input_of(graph: Any, node: Any) -> Any:
    """The only input tensor of a call."""
    tensors = inputs_of(graph, node)
    if len(tensors) != 1:
        raise Unsupported(f"is called on {len(tensors)} tensors")
    return tensors[0]


def channel_axis(layer: Any) -> int:
    """The channel axis of a layer with a `data_format`."""
    return 1 if layer.data_format == "channels_first" else -1


def last_axis(tensor: Any) -> int:
    """The number of the last axis of a tensor."""
    return len(tensor.shape) - 1


def keep_axes(graph: Any, source: Any, target: Any) -> None:
    """Gives a tensor of the same axes the labels of another."""
    graph.set_axes(target, graph.axes(source), why=graph.why(source))


def replace_axis(
    graph: Any, source: Any, target: Any, axis: int, ids: np.ndarray
) -> None:
    """Labels a tensor like another, but for one axis."""
    rank = len(source.shape)
    axes = {**graph.axes(source), axis % rank: ids}
    graph.set_axes(target, axes, why="has a size that the model fixes")


def acts_alone(function: Any) -> bool:
    """Whether an activation is known to act on every entry alone."""
    if function is None or any(function is one for one in _FUNCTIONS):
        return True
    return type(function) in ACTIVATION_LAYERS


def expect(layer: Any, sizes: Mapping[int, int]) -> None:
    """Writes new sizes of axes into the input spec of a layer."""
    old = layer.input_spec
    new = {axis: sizes.get(axis, size) for axis, size in old.axes.items()}
    layer.input_spec = keras.InputSpec(
        ndim=old.ndim,
        max_ndim=old.max_ndim,
        min_ndim=old.min_ndim,
        axes=new,
        allow_last_axis_squeeze=old.allow_last_axis_squeeze,
    )


def check_activation(graph: Any, layer: Any, ids: np.ndarray) -> None:
    """Protects units whose activation mixes them, or may do so."""
    for attribute in ("activation", "recurrent_activation"):
        function = getattr(layer, attribute, None)
        if not acts_alone(function):
            name = getattr(function, "__name__", type(function).__name__)
            graph.protect(
                ids,
                f"leaves {type(layer).__name__} '{layer.name}' through the "
                f"activation '{name}', which may mix channels",
            )


def refuse_adapters(operation: Any) -> None:
    """Refuses layers whose weights are quantized or hold LoRA parts."""
    inner = [operation, *getattr(operation, "_layers", ())]
    if isinstance(operation, keras.Model):
        return
    for layer in inner:
        if getattr(layer, "lora_enabled", False):
            raise Unsupported("has LoRA weights")
        if getattr(layer, "quantization_mode", None):
            raise Unsupported("is quantized")
