"""Layers and ops that are elementwise, or act on each channel alone."""

from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.coupled_axis import PASS, UnsupportedLayer
from keras_netopt.surgery.handler_registry import (
    Handler,
    handles,
    handles_ops,
)
from keras_netopt.surgery.handlers.handler_tools import (
    copy_channel_axes,
    is_elementwise,
    single_input,
    update_input_spec,
)

L = keras.layers


@handles(
    *(L.ReLU, L.LeakyReLU, L.ELU, L.Identity, L.ActivityRegularization),
    *(L.Dropout, L.AlphaDropout, L.GaussianDropout, L.GaussianNoise),
    *(L.SpatialDropout1D, L.SpatialDropout2D, L.SpatialDropout3D),
)
@handles_ops(
    *("Relu", "Relu6", "Sigmoid", "Silu", "Gelu", "Tanh", "HardSigmoid"),
    *("HardSilu", "Negative", "Abs", "Absolute", "Square", "Sqrt", "Rsqrt"),
    *("Exp", "Log", "Log1p", "Expm1", "Elu", "Selu", "Celu", "Softplus"),
    *("Softsign", "LeakyRelu", "LogSigmoid", "Mish", "HardTanh", "Squareplus"),
    *("TanhShrink", "SoftShrink", "HardShrink", "Threshold", "Sign", "Erf"),
    *("Sin", "Cos", "Reciprocal", "Clip", "Cast", "StopGradient", "Copy"),
    *("SparsePlus", "SparseSigmoid", "Floor", "Ceil", "Round", "Identity"),
    *("NanToNum", "Isnan", "Isfinite", "LogicalNot"),
)
class ElementwiseHandler(Handler):
    """The output has the channels of the input."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        copy_channel_axes(graph, single_input(graph, node), node.outputs[0])


@handles_ops("ZerosLike", "OnesLike", "FullLike")
class ConstantHandler(Handler):
    """Makes a tensor whose channels are all equal."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        copy_channel_axes(graph, single_input(graph, node), node.outputs[0])
        graph.mark_uniform(node.outputs[0])


@handles(L.Activation)
class ActivationHandler(Handler):
    """Copies the channels if the activation is elementwise."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        if graph.channel_axes(single_input(graph, node)) and not is_elementwise(
            layer.activation
        ):
            function = layer.activation
            name = getattr(function, "__name__", type(function).__name__)
            raise UnsupportedLayer(
                f"has the activation '{name}', which may mix channels"
            )
        copy_channel_axes(graph, single_input(graph, node), node.outputs[0])


@handles(L.Softmax)
@handles_ops("Softmax", "LogSoftmax", "Sparsemax")
class SoftmaxHandler(Handler):
    """Mixes the entries along its axis."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        axis = getattr(layer, "axis", -1)
        many = axis if isinstance(axis, (tuple, list)) else [axis]
        over = {one % len(tensor.shape) for one in many if one is not None}
        if axis is None or over & set(graph.channel_axes(tensor)):
            raise UnsupportedLayer("mixes channels")
        copy_channel_axes(graph, tensor, node.outputs[0])


@handles(L.Rescaling)
class RescalingHandler(Handler):
    """Scales and shifts by constants; one per channel cannot be cut."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        many = np.size(layer.scale) > 1 or np.size(layer.offset) > 1
        if graph.channel_axes(tensor) and many:
            raise UnsupportedLayer("has a constant for each channel")
        copy_channel_axes(graph, tensor, node.outputs[0])


@handles(L.Normalization)
class NormalizationHandler(Handler):
    """Normalizes inputs by statistics that are not variables."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        if graph.channel_axes(single_input(graph, node)):
            raise UnsupportedLayer("has statistics for each channel")
        copy_channel_axes(graph, single_input(graph, node), node.outputs[0])


@handles(L.Masking)
class MaskingHandler(Handler):
    """Finds masked steps by comparing all channels."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        if graph.channel_axes(single_input(graph, node)):
            raise UnsupportedLayer("compares all channels to find masked steps")
        copy_channel_axes(graph, single_input(graph, node), node.outputs[0])


@handles(L.PReLU)
class PReLUHandler(Handler):
    """Has one slope per entry of the axes that do not share it."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        for axis, ids in graph.channel_axes(tensor).items():
            if axis not in (layer.shared_axes or ()):
                graph.couple_axis(
                    layer, layer.alpha, axis - 1, ids, PASS, new_value="mean"
                )
        copy_channel_axes(graph, tensor, node.outputs[0])

    def update_attributes(self, layer: Any, node: Any) -> None:
        update_input_spec(layer, dict(enumerate(node.input_tensors[0].shape)))
