"""Reads the graphs of a LiteRT file with bounds checks, without a runtime.

Native code follows the offsets and indices of a file without checking them
all, so that a damaged file ends the process. Here each is checked first.
"""

import math
import struct
from collections.abc import Callable, Iterable
from typing import Any

from keras_netopt.cost.tflite_model import load_schema
from keras_netopt.export.micro.file_graph import (
    BYTES,
    FileGraph,
    Graph,
    GraphOperator,
    GraphTensor,
)

PACKED = {"INT4": 4, "UINT4": 4, "INT2": 2}  # Bits of one element in a file.
BRANCHES = {
    "IF": ("IfOptions", "ThenSubgraphIndex", "ElseSubgraphIndex"),
    "WHILE": ("WhileOptions", "CondSubgraphIndex", "BodySubgraphIndex"),
    "CALL_ONCE": ("CallOnceOptions", "InitSubgraphIndex"),
}
UNREADABLE = (
    *(ValueError, IndexError, KeyError, TypeError, AttributeError),
    *(struct.error, UnicodeDecodeError, OverflowError, RecursionError),
)


def read_graph(content: bytes) -> FileGraph:
    """Reads the graphs of a LiteRT file.

    Raises:
        ValueError: If an offset, an index or a size leads out of the file, a
            constant has fewer bytes than its shape needs, or a graph runs
            itself.
    """
    try:
        return _read_file(load_schema().Model.GetRootAsModel(content, 0))
    except UNREADABLE as error:
        raise ValueError(f"the file is damaged: {error}") from error


def _read_file(model: Any) -> FileGraph:
    buffers = [
        _read_bytes(model.Buffers(k)) for k in range(model.BuffersLength())
    ]
    names = [
        _read_name(model.OperatorCodes(k))
        for k in range(model.OperatorCodesLength())
    ]
    count = model.SubgraphsLength()
    _check(count > 0, "it holds no graph")
    graphs = tuple(
        _read_subgraph(model.Subgraphs(k), buffers, names, count)
        for k in range(count)
    )
    _check_nesting(graphs, 0, ())
    metadata = map(model.Metadata, range(model.MetadataLength()))
    offline = any(m.Name() == b"OfflineMemoryAllocation" for m in metadata)
    inputs, outputs = _read_signature(model, graphs[0])
    used = {
        model.Subgraphs(k).Tensors(i).Buffer()
        for k in range(count)
        for i in range(len(graphs[k].tensors))
    }
    constant = sum(buffers[k] for k in used)
    return FileGraph(graphs, inputs, outputs, constant, offline)


def _read_bytes(buffer: Any) -> int:
    if buffer.DataLength():
        # Raises an error if the file ends before its data.
        return int(buffer.DataAsNumpy().nbytes)
    return int(buffer.Size()) if buffer.Offset() > 1 else 0


def _read_name(code: Any) -> str:
    operators = load_schema().BuiltinOperator
    names = {number: name for name, number in vars(operators).items()}
    # Old files hold the code in a byte, new ones in an int.
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if number == operators.CUSTOM:
        return str((code.CustomCode() or b"").decode())
    return str(names[number])


def _read_subgraph(
    graph: Any, buffers: list[int], names: list[str], count: int
) -> Graph:
    tensors = tuple(
        _read_tensor(graph.Tensors(k), buffers)
        for k in range(graph.TensorsLength())
    )
    operators = []
    for k in range(graph.OperatorsLength()):
        operator = graph.Operators(k)
        name = names[operator.OpcodeIndex()]
        operators.append(
            GraphOperator(
                name,
                _read_indices(
                    operator.InputsLength(), operator.Inputs, tensors, low=-1
                ),
                _read_indices(
                    operator.OutputsLength(), operator.Outputs, tensors
                ),
                _read_branches(operator, name, count),
            )
        )
    return Graph(
        tensors,
        tuple(operators),
        _read_indices(graph.InputsLength(), graph.Inputs, tensors),
        _read_indices(graph.OutputsLength(), graph.Outputs, tensors),
    )


def _read_tensor(tensor: Any, buffers: list[int]) -> GraphTensor:
    types = {n: name for name, n in vars(load_schema().TensorType).items()}
    dtype = str(types[tensor.Type()])
    sizes = [int(tensor.Shape(k)) for k in range(tensor.ShapeLength())]
    signs = [
        int(tensor.ShapeSignature(k))
        for k in range(tensor.ShapeSignatureLength())
    ]
    if len(signs) != len(sizes):
        signs = sizes
    shape = tuple(1 if size < 0 else size for size in sizes)
    free = tuple(sign < 0 for sign in signs)
    nbytes = buffers[tensor.Buffer()]
    is_sparse = tensor.Sparsity() is not None
    elements = math.prod(shape)
    bits = PACKED.get(dtype, 8 * BYTES.get(dtype, 0))
    _check(
        not nbytes or is_sparse or nbytes >= -(-elements * bits // 8),
        f"a constant of shape {shape} has {nbytes} bytes",
    )
    scales, zero_point = _read_scales(tensor.Quantization())
    return GraphTensor(
        (tensor.Name() or b"").decode(),
        shape,
        free,
        dtype,
        nbytes,
        bool(tensor.IsVariable()),
        scales,
        zero_point,
        is_sparse,
    )


def _read_scales(found: Any) -> tuple[tuple[float, ...], int]:
    if found is None or not found.ScaleLength():
        return (), 0
    scales = tuple(map(float, found.ScaleAsNumpy()))
    return scales, int(found.ZeroPoint(0)) if found.ZeroPointLength() else 0


def _read_indices(
    count: int,
    read: Callable[[int], int],
    tensors: tuple[GraphTensor, ...],
    low: int = 0,
) -> tuple[int, ...]:
    found = tuple(int(read(k)) for k in range(count))
    _check(
        all(low <= index < len(tensors) for index in found),
        f"it reads tensors {found} of {len(tensors)}",
    )
    return found


def _read_branches(operator: Any, name: str, count: int) -> tuple[int, ...]:
    if name not in BRANCHES:
        return ()
    kind, *fields = BRANCHES[name]
    schema = load_schema()
    _check(
        operator.BuiltinOptionsType() == getattr(schema.BuiltinOptions, kind),
        f"{name} names no graph",
    )
    table = operator.BuiltinOptions()
    options = getattr(schema, kind)()
    options.Init(table.Bytes, table.Pos)
    found = tuple(int(getattr(options, field)()) for field in fields)
    _check(
        all(0 < index < count for index in found),
        f"{name} runs the graphs {found} of {count}",
    )
    return found


def _check_nesting(
    graphs: tuple[Graph, ...], index: int, outer: tuple[int, ...]
) -> None:
    _check(index not in outer, f"graph {index} runs itself")
    for operator in graphs[index].operators:
        for branch in operator.branches:
            _check_nesting(graphs, branch, (*outer, index))


def _read_signature(
    model: Any, graph: Graph
) -> tuple[dict[str, int], dict[str, int]]:
    """Returns the tensors of the inputs and outputs by their names."""
    found = [model.SignatureDefs(k) for k in range(model.SignatureDefsLength())]
    found = [one for one in found if one.SubgraphIndex() == 0]
    # Keras writes one of this name, which comes first then.
    found.sort(key=lambda one: one.SignatureKey() != b"serving_default")
    if not found:
        return _by_tensor(graph, graph.inputs), _by_tensor(graph, graph.outputs)
    one = found[0]
    return (
        _by_name(map(one.Inputs, range(one.InputsLength())), graph.inputs),
        _by_name(map(one.Outputs, range(one.OutputsLength())), graph.outputs),
    )


def _by_tensor(graph: Graph, places: tuple[int, ...]) -> dict[str, int]:
    return {
        graph.tensors[index].name or f"tensor_{index}": index
        for index in places
    }


def _by_name(maps: Iterable[Any], places: tuple[int, ...]) -> dict[str, int]:
    named = {one.Name().decode(): int(one.TensorIndex()) for one in maps}
    _check(
        set(named.values()) <= set(places),
        f"its signature names tensors {named} of {places}",
    )
    return dict(sorted(named.items(), key=lambda item: places.index(item[1])))


def _check(holds: bool, problem: str) -> None:
    if not holds:
        raise ValueError(problem)
