"""Layers and ops that treat every entry, or every channel, alone."""

from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.graph.units import PASS, Unsupported
from keras_netopt.surgery.handlers.common import (
    acts_alone,
    expect,
    input_of,
    keep_axes,
)
from keras_netopt.surgery.handlers.registry import (
    Handler,
    handles,
    handles_ops,
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
class Elementwise(Handler):
    """The output has the channels of the input."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        keep_axes(graph, input_of(graph, node), node.outputs[0])


@handles_ops("ZerosLike", "OnesLike", "FullLike")
class ConstantHandler(Handler):
    """Makes a tensor whose channels are all alike."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        keep_axes(graph, input_of(graph, node), node.outputs[0])
        graph.mark_flat(node.outputs[0])


@handles(L.Activation)
class ActivationHandler(Handler):
    """An activation, unless it may mix channels."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        if graph.axes(input_of(graph, node)) and not acts_alone(
            layer.activation
        ):
            function = layer.activation
            name = getattr(function, "__name__", type(function).__name__)
            raise Unsupported(
                f"has the activation '{name}', which may mix channels"
            )
        keep_axes(graph, input_of(graph, node), node.outputs[0])


@handles(L.Softmax)
@handles_ops("Softmax", "LogSoftmax", "Sparsemax")
class SoftmaxHandler(Handler):
    """Mixes the entries along its axis."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = input_of(graph, node)
        axis = getattr(layer, "axis", -1)
        many = axis if isinstance(axis, (tuple, list)) else [axis]
        over = {one % len(tensor.shape) for one in many if one is not None}
        if axis is None or over & set(graph.axes(tensor)):
            raise Unsupported("mixes channels")
        keep_axes(graph, tensor, node.outputs[0])


@handles(L.Rescaling)
class RescalingHandler(Handler):
    """Scales and shifts by numbers; one a channel cannot be cut."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = input_of(graph, node)
        many = np.size(layer.scale) > 1 or np.size(layer.offset) > 1
        if graph.axes(tensor) and many:
            raise Unsupported("has a constant for each channel")
        keep_axes(graph, tensor, node.outputs[0])


@handles(L.Normalization)
class NormalizationHandler(Handler):
    """Normalizes inputs by statistics that are no variables of its own."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        if graph.axes(input_of(graph, node)):
            raise Unsupported("has statistics for each channel")
        keep_axes(graph, input_of(graph, node), node.outputs[0])


@handles(L.Masking)
class MaskingHandler(Handler):
    """Finds masked steps by comparing all channels."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        if graph.axes(input_of(graph, node)):
            raise Unsupported("compares all channels to find masked steps")
        keep_axes(graph, input_of(graph, node), node.outputs[0])


@handles(L.PReLU)
class PReLUHandler(Handler):
    """Has a slope for each entry of the axes that do not share it."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = input_of(graph, node)
        for axis, ids in graph.axes(tensor).items():
            if axis not in (layer.shared_axes or ()):
                graph.bind(
                    layer, layer.alpha, axis - 1, ids, PASS, fresh="mean"
                )
        keep_axes(graph, tensor, node.outputs[0])

    def sync(self, layer: Any, node: Any) -> None:
        expect(layer, dict(enumerate(node.input_tensors[0].shape)))
