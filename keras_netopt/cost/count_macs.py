"""Counts the multiply-accumulates of one layer or operation call."""

import math
from collections.abc import Callable
from typing import Any

import keras

from keras_netopt.graph.graph_node import GraphNode

Rule = Callable[[GraphNode], int | None]

# Element-wise operations, lookups and reductions: 0 MACs.
_ELEMENT_LAYERS = """
    InputLayer Identity Masking Embedding Activation ELU LeakyReLU PReLU ReLU
    Softmax Add Average Concatenate Maximum Minimum Multiply Subtract
    BatchNormalization GroupNormalization LayerNormalization RMSNormalization
    UnitNormalization Normalization Rescaling Resizing CenterCrop
    AveragePooling1D AveragePooling2D AveragePooling3D MaxPooling1D
    MaxPooling2D MaxPooling3D GlobalAveragePooling1D GlobalAveragePooling2D
    GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D
    GlobalMaxPooling3D AdaptiveAveragePooling1D AdaptiveAveragePooling2D
    AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D
    AdaptiveMaxPooling3D Dropout AlphaDropout GaussianDropout GaussianNoise
    SpatialDropout1D SpatialDropout2D SpatialDropout3D ActivityRegularization
    Cropping1D Cropping2D Cropping3D Flatten Permute RepeatVector Reshape
    UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D
    ZeroPadding3D CategoryEncoding Discretization HashedCrossing Hashing
    IntegerLookup StringLookup RandomBrightness RandomColorDegeneration
    RandomColorJitter RandomContrast RandomCrop RandomErasing RandomFlip
    RandomGaussianBlur RandomGrayscale RandomHue RandomInvert
    RandomPerspective RandomPosterization RandomRotation RandomSaturation
    RandomSharpness RandomShear RandomTranslation RandomZoom
""".split()

# keras.ops classes that multiply and sum, without a rule here.
_UNCOUNTED_OPS = frozenset(
    """
    Correlate Corrcoef Cross Kron Vander Slogdet FFT FFT2 IFFT2 RFFT IRFFT
    STFT ISTFT CDist Logdet GaussianBlur SobelEdges SSIM ElasticTransform
    CTCLoss CTCDecode Map Scan AssociativeScan Switch WhileLoop ForiLoop Cond
    VectorizedMap Function Cholesky CholeskyInverse Det Eig Eigh Inv LuFactor
    Norm Qr Solve SolveTriangular SVD Lstsq MatrixRank Pinv JVP
    """.split()
)


def count_macs(node: GraphNode) -> int | None:
    """Counts the multiply-accumulates of one call, for the whole batch.

    Returns 0 for element-wise operations, `None` where there is no rule or an
    axis has no size.

    Example:

    >>> import keras
    >>> from keras_netopt.graph.trace_calls import graph_nodes
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> count_macs(graph_nodes(model)[0])
    12
    """
    rule = _rule(node.operation)
    if rule is _zero:
        return 0
    if node.untraced is not None:
        return None
    shapes = (*node.input_shapes, *node.output_shapes)
    free = any(axis is None for shape in shapes for axis in shape)
    if rule is None or free or node.repeat is None:
        return None
    macs = rule(node)
    return None if macs is None else macs * node.repeat


def counts_inner_calls(operation: keras.Operation) -> bool:
    """Returns whether a layer is counted by the calls inside it.

    This is `True` for models and for every layer without a rule.
    """
    if not isinstance(operation, keras.layers.Layer):
        return False
    return _rule(operation) is None


def einsum_macs(equation: str, shapes: list[tuple[int, ...]]) -> int:
    """Counts the MACs of an einsum of two operands; "..." is allowed.

    They are the product of the sizes of all indices.

    Example:

    >>> einsum_macs("...i,ij->...j", [(2, 5, 8), (8, 3)])
    240
    """
    sizes: dict[str, int] = {}
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    for term, shape in zip(terms, shapes, strict=True):
        head, dots, tail = term.partition("...")
        labels = list(head)
        if dots:
            hidden = len(shape) - len(head) - len(tail)
            # Numbered from the right, as ellipses broadcast like shapes.
            labels += [f"...{k}" for k in range(hidden, 0, -1)]
        labels += list(tail)
        for label, size in zip(labels, shape, strict=True):
            if size != 1 or label not in sizes:
                sizes[label] = size
    return math.prod(sizes.values())


def _zero(node: GraphNode) -> int:
    return 0


def _out(node: GraphNode) -> int:
    return math.prod(node.output_shapes[0])  # type: ignore[arg-type]


def _shape(node: GraphNode, index: int) -> tuple[int, ...]:
    return node.input_shapes[index]  # type: ignore[return-value]


def _dense(node: GraphNode) -> int:
    return _out(node) * _shape(node, 0)[-1]


def _einsum_dense(node: GraphNode) -> int:
    layer: Any = node.operation
    kernel = tuple(layer.kernel.shape)
    return einsum_macs(layer.equation, [_shape(node, 0), kernel])


def _channels(layer: Any, shape: tuple[int, ...]) -> int:
    return shape[-1 if layer.data_format == "channels_last" else 1]


def _conv(node: GraphNode) -> int:
    layer: Any = node.operation
    fan_in = _channels(layer, _shape(node, 0)) // layer.groups
    return _out(node) * math.prod(layer.kernel_size) * fan_in


def _conv_transpose(node: GraphNode) -> int:
    layer: Any = node.operation
    window = math.prod(layer.kernel_size) * layer.filters
    return math.prod(_shape(node, 0)) * window


def _depthwise(node: GraphNode) -> int:
    layer: Any = node.operation
    return _out(node) * math.prod(layer.kernel_size)


def _separable(node: GraphNode) -> int:
    layer: Any = node.operation
    positions = _out(node) // layer.filters
    middle = _channels(layer, _shape(node, 0)) * layer.depth_multiplier
    return positions * middle * (math.prod(layer.kernel_size) + layer.filters)


def _dot_layer(node: GraphNode) -> int:
    axes = node.operation.axes
    axis = axes if isinstance(axes, int) else axes[0]
    return _out(node) * _shape(node, 0)[axis]


def _matmul(node: GraphNode) -> int:
    left, right = _shape(node, 0), _shape(node, 1)
    if not left or not right:
        return 0
    return _out(node) * left[-1]


def _tensordot(node: GraphNode) -> int:
    axes = node.operation.axes
    left = _shape(node, 0)
    if isinstance(axes, int):
        contracted: Any = range(len(left) - axes, len(left))
    else:
        contracted = [axes[0]] if isinstance(axes[0], int) else axes[0]
    return _out(node) * math.prod(left[axis] for axis in contracted)


def _einsum(node: GraphNode) -> int | None:
    shapes = [_shape(node, k) for k in range(len(node.inputs))]
    if len(shapes) == 1:
        return 0
    equation = node.operation.subscripts
    # With three or more operands the backend chooses the order.
    return einsum_macs(equation, shapes) if len(shapes) == 2 else None


def _vdot(node: GraphNode) -> int:
    return math.prod(_shape(node, 0))


def _conv_op(node: GraphNode) -> int:
    return _out(node) * math.prod(_shape(node, 1)[:-1])


def _depthwise_op(node: GraphNode) -> int:
    return _out(node) * math.prod(_shape(node, 1)[:-2])


def _separable_op(node: GraphNode) -> int:
    window, pointwise = _shape(node, 1), _shape(node, 2)
    positions = _out(node) // pointwise[-1]
    depthwise = math.prod(window)
    return positions * (depthwise + math.prod(pointwise))


def _conv_transpose_op(node: GraphNode) -> int:
    return math.prod(_shape(node, 0)) * math.prod(_shape(node, 1)[:-1])


def _attention_op(node: GraphNode) -> int:
    batch, queries, heads, width = _shape(node, 0)
    keys, value_width = _shape(node, 1)[1], _shape(node, 2)[-1]
    return batch * heads * queries * keys * (width + value_width)


_LAYER_RULES: dict[str, Rule] = {
    "Dense": _dense,
    "EinsumDense": _einsum_dense,
    "Conv1D": _conv,
    "Conv2D": _conv,
    "Conv3D": _conv,
    "Conv1DTranspose": _conv_transpose,
    "Conv2DTranspose": _conv_transpose,
    "Conv3DTranspose": _conv_transpose,
    "DepthwiseConv1D": _depthwise,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv1D": _separable,
    "SeparableConv2D": _separable,
    "Dot": _dot_layer,
    **dict.fromkeys(_ELEMENT_LAYERS, _zero),
}
_OP_RULES: dict[str, Rule] = {
    "Matmul": _matmul,
    "Dot": _matmul,
    "Inner": _matmul,
    "Tensordot": _tensordot,
    "Einsum": _einsum,
    "Outer": _out,
    "Vdot": _vdot,
    "Conv": _conv_op,
    "DepthwiseConv": _depthwise_op,
    "SeparableConv": _separable_op,
    "ConvTranspose": _conv_transpose_op,
    "DotProductAttention": _attention_op,
}


def _rule(operation: keras.Operation) -> Rule | None:
    kind = type(operation)
    if not isinstance(operation, keras.layers.Layer):
        if kind.__module__.partition(".")[0] != "keras":
            return None
        unknown = kind.__name__ in _UNCOUNTED_OPS
        return _OP_RULES.get(kind.__name__, None if unknown else _zero)
    for base in kind.__mro__:
        if getattr(keras.layers, base.__name__, None) is base:
            # A subclass that overrides `call` may compute anything.
            return (
                _LAYER_RULES.get(base.__name__)
                if (kind.call is base.call)
                else None
            )
    return None
