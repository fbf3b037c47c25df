"""What TFLite Micro refuses in a file, found without running it."""

from collections.abc import Iterator

from keras_netopt.export.micro.file_graph import BYTES, FileGraph, Graph
from keras_netopt.export.micro.micro_runtime import NAME, load_runtime

# Ops and the place of their kernel, which must be as wide as their input.
KERNELS = {
    **{name: 1 for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")},
    "TRANSPOSE_CONV": 1,
    "BATCH_MATMUL": 1,
    "SVDF": 1,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 1,
}
DATA = {"TRANSPOSE_CONV": 2}  # The place of the other input, where it is not 0.
DECODED = ("INT8", "INT16", "UINT8")  # What its DEQUANTIZE takes.
INTEGERS = ("INT2", "INT4", "INT8", "UINT8")
SPARSE = "`sparse=True` is for LiteRT; ChannelPruning removes whole channels"
WHOLE = (
    "export with `quantize='int8'` and `quantized_io=True`, or without "
    "`quantize`"
)
# Layers whose op is missing, and what else may be used.
REMEDIES = {
    "DENSIFY": SPARSE,
    "GELU": "use the activation relu, relu6, elu or silu",
    "POW": "multiply instead",
    "TILE": "use `keras.ops.broadcast_to`, or concatenate",
    "CONV_3D": "use Conv2D on slices",
    "REDUCE_PROD": "multiply slices",
    "SELECT": (
        "`keras.layers.Embedding` writes it for negative indices: look the "
        "rows up in the program and pass them as inputs"
    ),
}


def find_problems(file: FileGraph) -> tuple[str, ...]:
    """Returns what keeps the runtime from running the file, with remedies."""
    found = dict.fromkeys(
        problem
        for graph in file.graphs
        for problem in (*_find_missing(graph), *_find_formats(graph))
    )
    return tuple(found)


def find_missing_ops(file: FileGraph) -> tuple[str, ...]:
    """Returns the ops that the runtime lacks, sorted."""
    names = {op.name for graph in file.graphs for op in graph.operators}
    return tuple(sorted(n for n in names if not load_runtime().has(n)))


def find_notes(file: FileGraph) -> tuple[str, ...]:
    """Returns what the runtime reads otherwise than LiteRT does."""
    graph = file.graphs[0]
    notes = []
    free = [
        name
        for name, tensor in file.inputs.items()
        if any(graph.tensors[tensor].free)
    ]
    if free:
        notes.append(
            f"the free axes of the inputs {free} are read as 1: "
            "`to_litert(target='micro')` fixes the batch"
        )
    floats = [
        name
        for name, tensor in (*file.inputs.items(), *file.outputs.items())
        if graph.tensors[tensor].dtype == "FLOAT32"
    ]
    steps = {t.dtype for t in graph.tensors if not t.is_constant}
    if floats and "INT8" in steps:
        notes.append(
            f"{floats} are floats: `quantized_io=True` drops the conversion "
            "and three quarters of their bytes"
        )
    return tuple(notes)


def _find_missing(graph: Graph) -> Iterator[str]:
    runtime = load_runtime()
    for operator in graph.operators:
        name = operator.name
        if runtime.has(name):
            continue
        if name.startswith("Flex"):
            remedy = "it is an op of TensorFlow (Flex); `allow_select_tf_ops`"
            yield f"{name} is missing in {NAME}: {remedy} must be False"
        elif name in REMEDIES:
            yield f"{name} is missing in {NAME}: {REMEDIES[name]}"
        else:
            yield f"{name} is missing in {NAME}: use another layer or op"


def _find_formats(graph: Graph) -> Iterator[str]:
    types = {tensor.dtype for tensor in graph.tensors}
    for dtype in sorted(types - set(BYTES)):
        yield f"{NAME} has no tensors of type {dtype.lower()}: {WHOLE}"
    for operator in graph.operators:
        name = operator.name
        if name == "DEQUANTIZE":
            source = graph.read(operator, 0)
            if source is not None and source.dtype not in DECODED:
                kind = source.dtype.lower()
                yield (
                    f"DEQUANTIZE does not decode weights of type {kind}: "
                    f"{WHOLE}"
                )
        if name not in KERNELS:
            continue
        data = graph.read(operator, DATA.get(name, 0))
        kernel = graph.read(operator, KERNELS[name])
        if data is None or kernel is None:
            continue
        if data.dtype == "FLOAT32" and kernel.dtype in INTEGERS:
            yield (
                f"{name} multiplies floats by weights of type "
                f"{kernel.dtype.lower()}, a hybrid form ('dynamic') that "
                f"{NAME} refuses: {WHOLE}"
            )
        if kernel.is_sparse:
            yield f"{name} has a sparse kernel: {SPARSE}"
