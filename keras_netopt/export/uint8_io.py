"""Gives an int8 file uint8 inputs and outputs."""

from typing import Any

import numpy as np

from keras_netopt.cost.tflite_model import load_schema
from keras_netopt.export.compact_file import IDENTIFIER, make_builder

SHIFT = 128  # Of a zero point; the scale stays.


def use_uint8_io(content: bytes) -> bytes:
    """Returns a LiteRT file whose int8 inputs and outputs are uint8.

    An op before each such input and after each such output subtracts or adds
    128, as the TensorFlow converter's `inference_input_type` does. Other
    inputs and outputs stay.
    """
    schema = load_schema()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    code = _add_quantize_code(model, schema)
    before: list[Any] = []
    after: list[Any] = []
    graph.inputs, graph.outputs = list(graph.inputs), list(graph.outputs)
    for places, is_input in ((graph.inputs, True), (graph.outputs, False)):
        moved: dict[int, int] = {}
        for k, inner in enumerate(places):
            if graph.tensors[inner].type != schema.TensorType.INT8:
                continue
            if inner not in moved:
                moved[inner] = outer = _add_tensor(graph, inner, schema)
                op = schema.OperatorT()
                op.opcodeIndex = code
                ends = (outer, inner) if is_input else (inner, outer)
                op.inputs, op.outputs = [ends[0]], [ends[1]]
                (before if is_input else after).append(op)
            places[k] = moved[inner]
        for signature in model.signatureDefs or []:
            maps = signature.inputs if is_input else signature.outputs
            for one in maps or []:
                one.tensorIndex = moved.get(one.tensorIndex, one.tensorIndex)
    graph.operators = [*before, *graph.operators, *after]
    builder = make_builder()
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _add_quantize_code(model: Any, schema: Any) -> int:
    code = schema.OperatorCodeT()
    code.builtinCode = schema.BuiltinOperator.QUANTIZE
    code.deprecatedBuiltinCode = schema.BuiltinOperator.QUANTIZE
    code.version = 2  # The first that takes integers.
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _add_tensor(graph: Any, inner: int, schema: Any) -> int:
    """Adds the uint8 twin of an int8 tensor and returns its place."""
    old = graph.tensors[inner]
    tensor, scales = schema.TensorT(), schema.QuantizationParametersT()
    tensor.name, old.name = old.name, (old.name or b"") + b"_int8"
    tensor.shape, tensor.shapeSignature = old.shape, old.shapeSignature
    tensor.hasRank = old.hasRank
    tensor.type = schema.TensorType.UINT8
    scales.scale = old.quantization.scale
    scales.zeroPoint = np.add(old.quantization.zeroPoint, SHIFT)
    tensor.quantization = scales
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1
