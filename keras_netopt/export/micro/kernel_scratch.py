"""Scratch memory that the reference kernels of TFLite Micro ask for.

Optimized kernels, such as those of CMSIS-NN, ask for other amounts.
"""

from keras_netopt.export.micro.file_graph import BYTES, Graph, GraphOperator

INT, POINTER = 4, 8  # Bytes; pointers of 64-bit Linux.
INTEGERS = ("INT8", "INT16")


def list_scratch(graph: Graph, operator: GraphOperator) -> list[int]:
    """Returns the bytes of each scratch buffer of an operator, in order."""
    rule = _RULES.get(operator.name)
    return [] if rule is None else rule(graph, operator)


def _reduction(graph: Graph, operator: GraphOperator) -> list[int]:
    data, axes = graph.read(operator, 0), graph.read(operator, 1)
    if data is None or axes is None:
        return []
    return [INT * len(data.shape), INT * axes.elements]


def _mean(graph: Graph, operator: GraphOperator) -> list[int]:
    data = graph.read(operator, 0)
    sums = []
    if data is not None and data.dtype in INTEGERS:
        sums = [INT * graph.tensors[operator.outputs[0]].elements]
    return sums + _reduction(graph, operator)


def _four_bits(graph: Graph, operator: GraphOperator) -> list[int]:
    """Kernels of 4 bits are unpacked to a byte each."""
    kernel = graph.read(operator, 1)
    is_packed = kernel is not None and kernel.dtype == "INT4"
    return [kernel.elements] if is_packed else []  # type: ignore[union-attr]


def _transposed(graph: Graph, operator: GraphOperator) -> list[int]:
    data, bias = graph.read(operator, 2), graph.read(operator, 3)
    sizes = {"INT8": 4, "INT16": 8}
    if data is None or data.dtype not in sizes:
        return []
    output = graph.tensors[operator.outputs[0]]
    found = [sizes[data.dtype] * output.elements]
    if bias is not None and data.dtype == bias.dtype == "INT16":
        found.append(8 * bias.elements)
    return found


def _mirrored(graph: Graph, operator: GraphOperator) -> list[int]:
    data = graph.read(operator, 0)
    return [] if data is None else [INT * len(data.shape)] * 2


def _svdf(graph: Graph, operator: GraphOperator) -> list[int]:
    data, kernel = graph.read(operator, 0), graph.read(operator, 1)
    if data is None or kernel is None:
        return []
    found = [INT * data.shape[0] * kernel.shape[0]]
    if kernel.dtype == "INT8":
        found.append(INT * graph.tensors[operator.outputs[0]].elements)
    return found


def _lstm(graph: Graph, operator: GraphOperator) -> list[int]:
    cell = graph.read(operator, 19)
    if cell is None:
        return []
    return [cell.elements * BYTES.get(cell.dtype, 0)] * 4


def _sum_of_many(graph: Graph, operator: GraphOperator) -> list[int]:
    return [POINTER * len(operator.inputs)]


_RULES = {
    "ADD_N": _sum_of_many,
    "CONV_2D": _four_bits,
    "DEPTHWISE_CONV_2D": _four_bits,
    "FULLY_CONNECTED": _four_bits,
    "MEAN": _mean,
    "MIRROR_PAD": _mirrored,
    "REDUCE_ALL": _reduction,
    "REDUCE_MAX": _reduction,
    "REDUCE_MIN": _reduction,
    "SUM": _mean,
    "SVDF": _svdf,
    "TRANSPOSE_CONV": _transposed,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
}
