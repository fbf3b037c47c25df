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
from keras_netopt.surgery.handlers.constants import (
    attribute_shapes,
    protect_constant,
)
from keras_netopt.surgery.handlers.handler_tools import (
    copy_channel_axes,
    single_input,
    update_input_spec,
)

L = keras.layers
UNARY = (
    "Abs Absolute Angle Arccos Arccosh Arcsin Arcsinh Arctan Arctanh Array "
    "BitwiseInvert BitwiseNot Cast Cbrt Ceil Celu Clip Conj Conjugate "
    "ConvertToTensor Copy Cos Cosh Deg2rad Elu Erf Erfc Erfinv Exp Exp2 Expm1 "
    "Fabs Floor Gelu HardShrink HardSigmoid HardSilu HardTanh I0 Identity "
    "Imag Isfinite Isinf Isnan Isneginf Isposinf Isreal LeakyRelu Log Log10 "
    "Log1p Log2 LogSigmoid LogicalNot Mish NanToNum Negative Rad2deg Real "
    "Reciprocal Relu Relu6 Round Rsqrt SaturateCast Selu Sigmoid Sign Signbit "
    "Silu Sin Sinc Sinh SoftShrink Softplus Softsign SparsePlus SparseSigmoid "
    "Sqrt Square Squareplus StopGradient Tan Tanh TanhShrink Threshold Trunc"
).split()


@handles(
    *(L.ReLU, L.LeakyReLU, L.ELU, L.Identity, L.ActivityRegularization),
    *(L.Dropout, L.AlphaDropout, L.GaussianDropout, L.GaussianNoise),
    *(L.SpatialDropout1D, L.SpatialDropout2D, L.SpatialDropout3D),
)
@handles_ops(*UNARY)
class ElementwiseHandler(Handler):
    """The output has the channels of the input."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        copy_channel_axes(graph, single_input(graph, node), node.outputs[0])
        for shape in attribute_shapes(layer):
            protect_constant(graph, node.outputs[0], shape)


@handles_ops("ZerosLike", "OnesLike", "FullLike")
class ConstantHandler(Handler):
    """Makes a tensor whose channels are all equal."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        copy_channel_axes(graph, single_input(graph, node), node.outputs[0])
        graph.mark_uniform(node.outputs[0])


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
