"""Small files for TFLite Micro: those that it runs, and those it refuses."""

import numpy as np
from graphs_by_hand import Graph, Op, Tensor, write_graphs

Q = {"dtype": "INT8", "scales": (0.1,)}


def _one(tensors, op, inputs=(0,), custom=()):
    """A graph of one op; the last tensor is its output."""
    last = len(tensors) - 1
    op = op if isinstance(op, Op) else Op(op, list(range(last)), [last])
    return write_graphs(
        Graph(tensors, [op], list(inputs), [last]), custom=custom
    )


def _reduction(name, **more):
    return _one(
        [
            Tensor((1, 6, 5, 8), **more),
            Tensor((2,), "INT32", [1, 2]),
            Tensor((1, 8), **more),
        ],
        Op(name, [0, 1], [2], "ReducerOptions"),
    )


def _dense(dtype):
    kernel = Tensor((4, 16), dtype, np.arange(64) % 7, (0.1,))
    return _one(
        [Tensor((1, 16), **Q), kernel, Tensor((1, 4), **Q)],
        Op("FULLY_CONNECTED", [0, 1, -1], [2], "FullyConnectedOptions"),
    )


def _convolution(name, dtype, data="INT8"):
    depthwise = name == "DEPTHWISE_CONV_2D"
    channels, shape = (2, (1, 3, 3, 2)) if depthwise else (3, (3, 3, 3, 2))
    values = np.arange(np.prod(shape)) % 5
    bias = "INT32" if data == "INT8" else data
    more = {"dtype": data, "scales": (0.1,) if data == "INT8" else ()}
    table = "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions"
    options = {"strideW": 1, "strideH": 1}
    if depthwise:
        options["depthMultiplier"] = 1
    return _one(
        [
            Tensor((1, 8, 8, 2), **more),
            Tensor(
                shape,
                dtype,
                values,
                (0.1,) * channels,
                axis=3 if depthwise else 0,
            ),
            Tensor((channels,), bias, np.zeros(channels), (0.01,) * channels),
            Tensor((1, 8, 8, channels), **more),
        ],
        Op(name, [0, 1, 2], [3], table, options),
    )


def _transposed(dtype):
    scales = (0.1,) if dtype == "INT8" else ()
    more = {"dtype": dtype, "scales": scales}
    kernel = Tensor((3, 2, 2, 2), dtype, np.ones(24), scales * 3)
    return _one(
        [
            Tensor((4,), "INT32", [1, 8, 8, 3]),
            kernel,
            Tensor((1, 4, 4, 2), **more),
            Tensor((1, 8, 8, 3), **more),
        ],
        Op(
            "TRANSPOSE_CONV",
            [0, 1, 2],
            [3],
            "TransposeConvOptions",
            {"strideW": 2, "strideH": 2},
        ),
        inputs=(2,),
    )


def _mirrored():
    return _one(
        [
            Tensor((1, 6)),
            Tensor((2, 2), "INT32", [0, 0, 2, 3]),
            Tensor((1, 11)),
        ],
        Op("MIRROR_PAD", [0, 1], [2], "MirrorPadOptions"),
    )


def _sum_of_many():
    return _one([Tensor((1, 9))] * 4, "ADD_N", inputs=(0, 1, 2))


def _filter():
    return _one(
        [
            Tensor((1, 4)),
            Tensor((6, 4), values=np.ones(24)),
            Tensor((6, 5), values=np.ones(30)),
            Tensor((3,), values=np.ones(3)),
            Tensor((1, 30), variable=True),
            Tensor((1, 3)),
        ],
        Op("SVDF", [0, 1, 2, 3, 4], [5], "SVDFOptions", {"rank": 2}),
    )


def _branches():
    """x + x if the flag is set, else x * x * x."""
    main = Graph(
        [Tensor((), "BOOL"), Tensor((1, 40)), Tensor((1, 40)), Tensor((1, 40))],
        [
            Op("ABS", [1], [2]),
            Op(
                "IF",
                [0, 2],
                [3],
                "IfOptions",
                {"thenSubgraphIndex": 1, "elseSubgraphIndex": 2},
            ),
        ],
        [0, 1],
        [3],
    )
    then = Graph(
        [Tensor((1, 40))] * 2, [Op("ADD", [0, 0], [1], "AddOptions")], [0], [1]
    )
    mul = [
        Op("MUL", [0, 0], [1], "MulOptions"),
        Op("MUL", [0, 1], [2], "MulOptions"),
    ]
    return write_graphs(main, then, Graph([Tensor((1, 40))] * 3, mul, [0], [2]))


def _loop():
    """Adds 1 to each number while the counter is below 3."""
    counter, numbers = Tensor((1,), "INT32"), Tensor((1, 20))
    main = Graph(
        [counter, numbers, counter, numbers],
        [
            Op(
                "WHILE",
                [0, 1],
                [2, 3],
                "WhileOptions",
                {"condSubgraphIndex": 1, "bodySubgraphIndex": 2},
            )
        ],
        [0, 1],
        [2, 3],
    )
    test = Graph(
        [
            counter,
            numbers,
            Tensor((1,), "INT32", [3]),
            Tensor((1,), "BOOL"),
        ],
        [Op("LESS", [0, 2], [3])],
        [0, 1],
        [3],
    )
    body = Graph(
        [
            counter,
            numbers,
            Tensor((1,), "INT32", [1]),
            Tensor((1, 20), values=np.ones(20)),
            counter,
            numbers,
        ],
        [
            Op("ADD", [0, 2], [4], "AddOptions"),
            Op("ADD", [1, 3], [5], "AddOptions"),
        ],
        [0, 1],
        [4, 5],
    )
    return write_graphs(main, test, body)


def _unused():
    """A tensor that no op reads or writes."""
    tensors = [Tensor((1, 4)), Tensor((1, 50)), Tensor((1, 4))]
    return write_graphs(Graph(tensors, [Op("ABS", [0], [2])], [0], [2]))


def _random(seed):
    """Concatenations of random tensors, some of which are outputs."""
    rng = np.random.default_rng(seed)
    sizes = [int(n) for n in rng.integers(1, 40, 3)]
    ops = []
    for _ in range(rng.integers(4, 14)):
        last = range(max(0, len(sizes) - 6), len(sizes))
        read = [int(k) for k in rng.choice(last, rng.integers(1, 3))]
        table = ("ConcatenationOptions", {"axis": 1})
        ops.append(Op("CONCATENATION", read, [len(sizes)], *table))
        total = sum(sizes[k] for k in read)
        sizes.append(total)
        if total > 150:  # Back to a smaller one.
            ops.append(
                Op("SLICE", [total, -1, -2], [len(sizes)], "SliceOptions")
            )
            sizes.append(int(rng.integers(1, 60)))
            ops[-1].inputs[0] = len(sizes) - 2
    tensors = [Tensor((1, size)) for size in sizes]
    for op in ops:
        if op.name == "SLICE":
            width = tensors[op.outputs[0]].shape[1]
            op.inputs[1:] = [len(tensors), len(tensors) + 1]
            tensors.append(Tensor((2,), "INT32", [0, 0]))
            tensors.append(Tensor((2,), "INT32", [1, width]))
    ends = {len(sizes) - 1, *map(int, rng.integers(3, len(sizes), 2))}
    return write_graphs(Graph(tensors, ops, [0, 1, 2], sorted(ends)))


def two_inputs():
    """a beside b; the signature names b first, the graph takes a first."""
    table = ("ConcatenationOptions", {"axis": 1})
    graph = Graph(
        [Tensor((1, 3)), Tensor((1, 5)), Tensor((1, 8))],
        [Op("CONCATENATION", [0, 1], [2], *table)],
        [0, 1],
        [2],
    )
    return write_graphs(graph, inputs={"b": 1, "a": 0}, outputs={"y": 2})


def free_batch(size=1):
    """abs(x), with a free batch for a size of 1."""
    tensors = [Tensor((size, 3), free=size == 1)] * 2
    return write_graphs(
        Graph(tensors, [Op("ABS", [0], [1])], [0], [1]),
        inputs={"x": 0},
        outputs={"y": 1},
    )


def _decoded(dtype):
    scales = () if dtype == "FLOAT16" else (0.1,)
    kernel = Tensor((1, 8), dtype, np.ones(8), scales)
    return write_graphs(
        Graph(
            [Tensor((1, 8)), kernel, Tensor((1, 8)), Tensor((1, 8))],
            [
                Op("DEQUANTIZE", [1], [2]),
                Op("ADD", [0, 2], [3], "AddOptions"),
            ],
            [0],
            [3],
        )
    )


def _hybrid_dense():
    kernel = Tensor((4, 16), "INT8", np.arange(64), (0.1,))
    return _one(
        [Tensor((1, 16)), kernel, Tensor((1, 4))],
        Op("FULLY_CONNECTED", [0, 1, -1], [2], "FullyConnectedOptions"),
    )


RUN = {
    "mean int8": _reduction("MEAN", **Q),
    "mean float": _reduction("MEAN"),
    "sum int8": _reduction("SUM", **Q),
    "maximum": _reduction("REDUCE_MAX"),
    "dense int8": _dense("INT8"),
    "dense int4": _dense("INT4"),
    "convolution int4": _convolution("CONV_2D", "INT4"),
    "depthwise int4": _convolution("DEPTHWISE_CONV_2D", "INT4"),
    "transposed int8": _transposed("INT8"),
    "transposed float": _transposed("FLOAT32"),
    "mirror pad": _mirrored(),
    "sum of many": _sum_of_many(),
    "filter": _filter(),
    "branches": _branches(),
    "loop": _loop(),
    "unused tensor": _unused(),
    "two inputs": two_inputs(),
    "free batch": free_batch(),
    "decoded int8": _decoded("INT8"),
    **{f"random {seed}": _random(seed) for seed in range(12)},
}
# What the message must name.
REFUSED = {
    "GELU": _one([Tensor((1, 8))] * 2, "GELU"),
    "FlexErf": _one([Tensor((1, 8))] * 2, "FlexErf", custom=("FlexErf",)),
    "DENSIFY": _one([Tensor((2, 8), values=np.ones(16))] * 2, "DENSIFY"),
    "float16": _decoded("FLOAT16"),
    "int4": _decoded("INT4"),
    "int2": _decoded("INT2"),
    "CONV_2D": _convolution("CONV_2D", "INT8", "FLOAT32"),
    "DEPTHWISE_CONV_2D": _convolution("DEPTHWISE_CONV_2D", "INT8", "FLOAT32"),
    "FULLY_CONNECTED": _hybrid_dense(),
}
