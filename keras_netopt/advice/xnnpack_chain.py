"""Checks whether XNNPACK can run the 1x1 convolutions of a model sparsely.

The rules are those of `PruneForLatencyOnXNNPack` in
tensorflow-model-optimization 0.8.1, which takes Keras 2 models only.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.graph.graph_node import GraphNode
from keras_netopt.graph.model_graph import graph_outputs
from keras_netopt.graph.recorded_calls import list_calls

ACTIVATIONS = ("relu", "relu6", "leaky_relu", "elu", "sigmoid")
ALLOWED = "Add Multiply ZeroPadding2D ReLU LeakyReLU ELU Dropout".split()
ALLOWED_OPS = "Add Subtract Multiply Identity".split()
END = "GlobalAveragePooling2D"


@dataclass(frozen=True)
class SparseChain:
    """The part of a model that sparse inference requires.

    Args:
        layer: The first layer that breaks the chain, `""` if none does.
        reason: Why it does, `""` if none does.
        kernels: The 1x1 convolutions of the chain.
    """

    layer: str = ""
    reason: str = ""
    kernels: tuple[keras.layers.Layer, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether no layer breaks the chain."""
        return not self.reason


def check_chain(model: keras.Model) -> SparseChain:
    """Finds the first layer of a graph model that breaks the chain.

    The chain begins at a 3x3 convolution of 3 channels with stride 2, after
    zero padding by 1, and ends at global average pooling.

    Args:
        model: A Functional or Sequential model. A nested model breaks the
            chain.
    """
    calls = list(list_calls(model))
    makers = {id(out): call for call in calls for out in call.outputs}
    convolutions = [c for c in calls if _kind(c) == "Conv2D"]
    if not convolutions:
        nested = next((c for c in calls if _is_model(c)), None)
        if nested is not None:
            return SparseChain(nested.path, "is a nested model: check it alone")
        return SparseChain("", "there is no Conv2D that could begin the chain")
    first = convolutions[0]
    if reason := _explain_start(first, makers):
        return SparseChain(first.path, reason)
    return _follow(first, calls, makers)


def _follow(
    first: GraphNode, calls: list[GraphNode], makers: dict[int, GraphNode]
) -> SparseChain:
    """Checks all calls behind the first one, up to the pooling."""
    ends = _find_ends(first, makers)
    if not ends:
        return SparseChain(
            "", f"no {END} ends the chain on every way to the output"
        )
    reached = {id(out) for out in first.outputs}
    kernels: list[keras.layers.Layer] = []
    for call in calls[calls.index(first) + 1 :]:
        if not any(id(one) in reached for one in call.input_tensors):
            continue
        if reason := _explain(call, makers):
            return SparseChain(call.path, reason)
        if id(call) in ends:
            continue
        if _kind(call) == "Conv2D":
            kernels.append(call.operation)
        reached |= {id(out) for out in call.outputs}
    return SparseChain(kernels=tuple(kernels))


def _find_ends(first: GraphNode, makers: dict[int, GraphNode]) -> set[int]:
    """Returns the `id`s of the last poolings, none if a way has none."""
    found: set[int] = set()
    tensors = [makers[id(t)] for t in graph_outputs(first.owner)]
    seen: set[int] = set()
    while tensors:
        call = tensors.pop()
        if id(call) in seen:
            continue
        seen.add(id(call))
        if _kind(call) == END:
            found.add(id(call))
        elif call.is_input:
            return set()
        else:
            tensors += [makers[id(t)] for t in call.input_tensors]
    return found


def _explain_start(call: GraphNode, makers: dict[int, GraphNode]) -> str:
    layer: Any = call.operation
    before = _producer(call, makers)
    channels = int(layer.kernel.shape[2])
    if channels != 3:
        return f"has {channels} input channels: the chain begins with 3"
    if layer.kernel_size != (3, 3) or layer.strides != (2, 2):
        return (
            f"has kernel {layer.kernel_size}, strides {layer.strides}: the "
            "chain begins with a 3x3 kernel and strides 2"
        )
    if layer.padding != "valid" or not _pads(before, 1):
        return (
            f'has padding "{layer.padding}" after {_name(before)}: the chain '
            'begins with padding "valid" after ZeroPadding2D(1)'
        )
    return ""


def _explain(call: GraphNode, makers: dict[int, GraphNode]) -> str:
    """Returns why a call breaks the chain, or ""."""
    kind = _kind(call)
    if not isinstance(call.operation, keras.layers.Layer):
        return "" if kind in ALLOWED_OPS else f"is the op {kind}"
    if kind in ALLOWED:
        return ""
    rule = RULES.get(kind)
    if rule is None:
        return f"is a {kind}"
    return "; ".join(rule(call.operation, _producer(call, makers)))


def _check_conv(layer: Any, before: Any) -> Iterator[str]:
    if layer.kernel_size != (1, 1):
        yield f"has kernel {layer.kernel_size}: only 1x1 may follow"
    elif layer.strides != (1, 1) or layer.groups != 1:
        yield "is a 1x1 convolution with strides or groups"
    elif layer.dilation_rate not in (1, (1, 1)):
        yield "is dilated"


def _check_depthwise(layer: Any, before: Any) -> Iterator[str]:
    size = layer.kernel_size
    if size not in ((3, 3), (5, 5)):
        yield f"has kernel {size}: only 3x3 and 5x5 are supported"
        return
    if layer.depth_multiplier != 1 or layer.dilation_rate not in (1, (1, 1)):
        yield "has a depth multiplier or a dilation"
    if layer.padding == "same":
        if layer.strides != (1, 1):
            yield (
                'has strides and padding "same": use padding "valid" after '
                f"ZeroPadding2D({size[0] // 2})"
            )
    elif layer.strides not in ((1, 1), (2, 2)):
        yield f"has strides {layer.strides}"
    elif not _pads(before, size[0] // 2):
        yield (
            f'has padding "valid" after {_name(before)}: expected '
            f"ZeroPadding2D({size[0] // 2})"
        )


def _check_norm(layer: Any, before: Any) -> Iterator[str]:
    axis = layer.axis
    axis = axis[0] if isinstance(axis, list | tuple) else axis
    if axis not in (3, -1):
        yield f"normalizes axis {axis}, not the channels"


def _check_end(layer: Any, before: Any) -> Iterator[str]:
    if not layer.keepdims:
        yield "has keepdims=False: pass keepdims=True"


def _check_upsampling(layer: Any, before: Any) -> Iterator[str]:
    if layer.interpolation != "bilinear":
        yield f'interpolates by "{layer.interpolation}", not "bilinear"'


def _check_activation(layer: Any, before: Any) -> Iterator[str]:
    name = getattr(layer.activation, "__name__", "")
    if name not in ACTIVATIONS:
        yield f'is the activation "{name}"'


RULES: dict[str, Callable[[Any, Any], Iterator[str]]] = {
    "Conv2D": _check_conv,
    "DepthwiseConv2D": _check_depthwise,
    "BatchNormalization": _check_norm,
    END: _check_end,
    "UpSampling2D": _check_upsampling,
    "Activation": _check_activation,
}


def _producer(call: GraphNode, makers: dict[int, GraphNode]) -> Any:
    """Returns the layer that makes the one input of a call, or `None`."""
    if len(call.input_tensors) != 1:
        return None
    maker = makers.get(id(call.input_tensors[0]))
    return None if maker is None else maker.operation


def _pads(layer: Any, size: int) -> bool:
    sides = ((size, size), (size, size))
    return isinstance(layer, keras.layers.ZeroPadding2D) and (
        tuple(map(tuple, layer.padding)) == sides
    )


def _name(layer: Any) -> str:
    return "no layer" if layer is None else type(layer).__name__


def _kind(call: GraphNode) -> str:
    return type(call.operation).__name__


def _is_model(call: GraphNode) -> bool:
    return isinstance(call.operation, keras.Model)
