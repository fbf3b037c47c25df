"""LiteRT files of any ops, written without a converter."""

import importlib
from dataclasses import dataclass, field

import numpy as np

from keras_netopt.cost.tflite_model import load_schema

PACKED = {"INT4": 2, "INT2": 4}  # Values in a byte.


@dataclass
class Tensor:
    """A tensor; `values` make it constant, `free` its first axis free.

    `axis` is that of its scales.
    """

    shape: tuple[int, ...]
    dtype: str = "FLOAT32"
    values: object = None
    scales: tuple[float, ...] = ()
    zero_point: int = 0
    axis: int = 0
    free: bool = False
    variable: bool = False
    name: str = ""


@dataclass
class Op:
    """An op; `options` are fields of its table in the schema."""

    name: str
    inputs: list[int]
    outputs: list[int]
    table: str = ""
    options: dict = field(default_factory=dict)


@dataclass
class Graph:
    tensors: list[Tensor]
    ops: list[Op]
    inputs: list[int]
    outputs: list[int]


def write_graphs(*graphs, inputs=None, outputs=None, custom=()):
    """Returns the bytes of a file.

    `inputs` and `outputs` are the signature: tensors of the first graph by
    name; `custom` are the ops that are no builtin ones.
    """
    s = load_schema()
    buffers, codes = [s.BufferT()], {}
    built = []
    for graph in graphs:
        tensors = [
            _tensor(s, one, buffers, k) for k, one in enumerate(graph.tensors)
        ]
        ops = []
        for op in graph.ops:
            index = codes.setdefault(op.name, len(codes))
            one = s.OperatorT(
                opcodeIndex=index, inputs=op.inputs, outputs=op.outputs
            )
            if op.table:
                one.builtinOptionsType = getattr(s.BuiltinOptions, op.table)
                one.builtinOptions = getattr(s, f"{op.table}T")(**op.options)
            ops.append(one)
        built.append(
            s.SubGraphT(
                name="g",
                tensors=tensors,
                inputs=graph.inputs,
                outputs=graph.outputs,
                operators=ops,
            )
        )
    kinds = [_code(s, name, name in custom) for name in codes]
    signatures = []
    if inputs is not None:
        maps = [
            [s.TensorMapT(name=n, tensorIndex=i) for n, i in side.items()]
            for side in (inputs, outputs)
        ]
        signatures = [
            s.SignatureDefT(
                inputs=maps[0], outputs=maps[1], signatureKey="serving_default"
            )
        ]
    model = s.ModelT(
        version=3,
        operatorCodes=kinds,
        subgraphs=built,
        buffers=buffers,
        signatureDefs=signatures,
    )
    builder = importlib.import_module("flatbuffers").Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _code(s, name, is_custom):
    code = (
        s.BuiltinOperator.CUSTOM
        if is_custom
        else getattr(s.BuiltinOperator, name)
    )
    one = s.OperatorCodeT(
        deprecatedBuiltinCode=min(code, 127), builtinCode=code, version=1
    )
    if is_custom:
        one.customCode = name
    return one


def _tensor(s, one, buffers, k):
    index = 0
    if one.values is not None:
        kind = {"FLOAT32": "f4", "FLOAT16": "f2", "INT32": "i4", "INT16": "i2"}
        array = np.asarray(one.values, kind.get(one.dtype, "i1"))
        if one.dtype in PACKED:
            count = -(-array.size // PACKED[one.dtype])
            array = np.zeros(count, "i1")
        buffers.append(s.BufferT(data=np.frombuffer(array.tobytes(), "u1")))
        index = len(buffers) - 1
    tensor = s.TensorT(
        name=one.name or f"t{k}",
        shape=list(one.shape),
        type=getattr(s.TensorType, one.dtype),
        buffer=index,
        isVariable=one.variable,
    )
    if one.free:
        tensor.shapeSignature = [-1, *one.shape[1:]]
    if one.scales:
        points = [one.zero_point] * len(one.scales)
        tensor.quantization = s.QuantizationParametersT(
            scale=list(one.scales),
            zeroPoint=points,
            quantizedDimension=one.axis,
        )
    return tensor
