"""Functions that several handlers share."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.coupled_axis import UnsupportedLayer

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


def tensor_inputs(graph: Any, node: Any) -> list[Any]:
    """Returns the input tensors of a call, without its masks."""
    masks = [
        mask
        for name, value in node.arguments.kwargs.items()
        if name == "mask" or name.endswith("_mask")
        for mask in keras.tree.flatten(value)
    ]
    if any(graph.channel_axes(mask) for mask in masks):
        raise UnsupportedLayer("is called with a mask of channels")
    hidden = {id(mask) for mask in masks}
    return [t for t in node.input_tensors if id(t) not in hidden]


def single_input(graph: Any, node: Any) -> Any:
    """Returns the only input tensor of a call."""
    tensors = tensor_inputs(graph, node)
    if len(tensors) != 1:
        raise UnsupportedLayer(f"is called on {len(tensors)} tensors")
    return tensors[0]


def channel_axis(layer: Any) -> int:
    """Returns the channel axis of a layer with a `data_format`."""
    return 1 if layer.data_format == "channels_first" else -1


def last_axis(tensor: Any) -> int:
    """Returns the index of the last axis of a tensor."""
    return len(tensor.shape) - 1


def copy_channel_axes(graph: Any, source: Any, target: Any) -> None:
    """Copies the channels of a tensor to one with the same axes."""
    graph.set_channel_axes(
        target, graph.channel_axes(source), reason=graph.fixed_reason(source)
    )


def move_channel_axes(
    graph: Any, source: Any, target: Any, axes: dict[int, np.ndarray]
) -> None:
    """Sets the channels that a call moves to other axes of its output.

    Without channels, the sizes are fixed for the same reason as in `source`.
    """
    reason = "" if axes else graph.fixed_reason(source)
    graph.set_channel_axes(target, axes, reason=reason)


def replace_channel_axis(
    graph: Any, source: Any, target: Any, axis: int, ids: np.ndarray
) -> None:
    """Copies the channels of a tensor except for one axis."""
    rank = len(source.shape)
    axes = {**graph.channel_axes(source), axis % rank: ids}
    graph.set_channel_axes(
        target, axes, reason="has a size that the model fixes"
    )


def is_elementwise(function: Any) -> bool:
    """Returns whether an activation is known to be elementwise."""
    if function is None or any(function is one for one in _FUNCTIONS):
        return True
    return type(function) in ACTIVATION_LAYERS


def update_input_spec(layer: Any, sizes: Mapping[int, int]) -> None:
    """Updates the sizes of axes in the input spec of a layer."""
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
    """Protects units unless the activation is known to be elementwise."""
    for attribute in ("activation", "recurrent_activation"):
        function = getattr(layer, attribute, None)
        if not is_elementwise(function):
            name = getattr(function, "__name__", type(function).__name__)
            graph.protect(
                ids,
                f"passes the activation '{name}' of {type(layer).__name__} "
                f"'{layer.name}', which may mix channels",
            )
