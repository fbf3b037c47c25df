"""New units whose outgoing weights make the gradient of the rest large.

The incoming weights of a new unit are zero, so that the outputs stay what
they are, and the outgoing ones are singular vectors of the gradient that a
linear bypass around the unit would get.
"""

import math
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.surgery.edits.edit import read
from keras_netopt.surgery.edits.plan import Fresh
from keras_netopt.surgery.graph.channel_graph import (
    IN,
    OUT,
    ChannelGraph,
    describe,
)
from keras_netopt.surgery.growing.new_units import (
    OUTGOING_SCALE,
    Growth,
    mean_norm,
)
from keras_netopt.surgery.growing.noise import all_nodes
from keras_netopt.surgery.growing.sample import Sample
from keras_netopt.training.gradients import compute_gradients
from keras_netopt.training.override_method import override_method

# ReLU passes no gradient at 0 on any backend, so new units begin beside it.
BIAS = 1e-6
CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
)
BETWEEN = (
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.ELU,
    keras.layers.Identity,
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)


@dataclass(frozen=True)
class LayerPair:
    """A layer that makes units and the only one that reads them.

    Args:
        producer: The layer that makes them.
        consumer: The layer that reads them.
        bias: Bias of new units.
        value: What the consumer reads of a new unit.
        reason: Why GradMax can't be used here, or `None`.
    """

    producer: Any = None
    consumer: Any = None
    bias: float = 0.0
    value: float = 0.0
    reason: str | None = None


def check_data(sample: Sample | None) -> None:
    """Refuses to go on without inputs and targets.

    Args:
        sample: One batch of data, or `None`.

    Raises:
        ValueError: If there is none, or it has no targets.
    """
    if sample is None or sample.y is None:
        held = None if sample is None else "inputs without targets"
        raise ValueError(
            "Argument `data` must hold inputs and targets for "
            "new_units='gradmax': pass data=(x, y). "
            f"Received: data={held}"
        )


def find_pair(graph: ChannelGraph, layer: Any, kind: str = "") -> LayerPair:
    """Finds who reads the units of a layer, and whether GradMax fits.

    Args:
        graph: The graph.
        layer: The layer that makes the units.
        kind: Which of its units. Defaults to `""`.

    Returns:
        The pair, or one that only holds the reason why there is none.
    """
    producer = graph.find(layer[0] if isinstance(layer, tuple) else layer)
    classes = np.unique(graph.units(layer, kind))
    bound = [
        b
        for b in graph.bindings
        if np.isin(graph.class_of[b.ids], classes).any()
    ]
    consumers = [b for b in bound if b.role == IN]
    makers = [b for b in bound if b.role == OUT and b.layer is producer]
    if len(consumers) != 1 or len(makers) + 1 != len(bound):
        return LayerPair(reason="several layers make, change or read the units")
    consumer = consumers[0].layer
    if len(consumers[0].ids) != len(graph.units(layer, kind)):
        return LayerPair(reason="the units are spread over several places")
    if not _same_kind(producer, consumer):
        return LayerPair(
            reason=f"{describe(producer)} and {describe(consumer)} are not "
            "two dense layers or two convolutions without groups"
        )
    between = _between(graph, producer, consumer)
    if between is None:
        return LayerPair(
            reason="more than an activation lies between the layers"
        )
    return _start(producer, consumer, between)


def fill(
    graph: ChannelGraph, pair: LayerPair, growth: Growth, sample: Sample
) -> list[str]:
    """Gives new units the outgoing weights with the largest gradient.

    Args:
        graph: The graph.
        pair: Who makes and who reads the units.
        growth: The growth, as for silent units; changed in place.
        sample: One batch of data.

    Returns:
        What the user should know.
    """
    kernel = pair.consumer.kernel
    count = sum(int((n >= 0).sum()) for n in growth.fresh.values())
    rows, rank = _best_rows(graph.model, pair, sample, count)
    axis = len(kernel.shape) - 2
    old = np.moveaxis(read(kernel), axis, 0)
    rows = rows * OUTGOING_SCALE * mean_norm(old)
    for one, numbers in growth.fresh.items():
        growth.shares[one] = np.ones(len(numbers))

    def outgoing(fresh: Fresh, array: np.ndarray) -> np.ndarray:
        return np.moveaxis(rows.astype(array.dtype), 0, axis)

    def incoming(fresh: Fresh, array: np.ndarray) -> np.ndarray:
        is_bias = fresh.binding.variable is pair.producer.bias
        return np.asarray(pair.bias if is_bias else 0.0, array.dtype)

    growth.outgoing, growth.incoming = outgoing, incoming
    if pair.value:
        total = rows.reshape(-1, rows.shape[-1]).sum(axis=0)
        growth.added[id(pair.consumer.bias)] = -pair.value * total
    if rank < count:
        return [
            f"the gradient has {rank} directions: {count - rank} of {count} "
            "new units begin without outgoing weights"
        ]
    return []


def bypass_gradient(
    model: keras.Model, producer: Any, consumer: Any, sample: Sample
) -> np.ndarray:
    """Computes the gradient of a linear bypass around the units of a layer.

    The bypass reads what `producer` reads and adds to what `consumer` makes,
    before its activation; its weights are zero.

    Args:
        model: A compiled model.
        producer: A dense layer or convolution.
        consumer: The layer behind it, of the same kind.
        sample: One batch with targets.

    Returns:
        The gradient, of the shape of the bypass' kernel.
    """
    rank = len(producer.kernel.shape) - 2
    size = [
        _reach(producer, i) + producer.strides[i] * (_reach(consumer, i) - 1)
        for i in range(rank)
    ]
    shape = (*size, producer.kernel.shape[-2], consumer.kernel.shape[-1])
    bypass = keras.Variable(np.zeros(shape, "float32"), name="bypass")
    seen: list[Any] = []
    call, activation = producer.call, consumer.activation

    def recording(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(inputs)
        return call(inputs, *args, **kwargs)

    def bypassed(values: Any) -> Any:
        extra = _bypass(producer, consumer, seen.pop(), bypass, values)
        values = values + ops.cast(extra, values.dtype)
        return values if activation is None else activation(values)

    with ExitStack() as undo:
        undo.callback(override_method(producer, "call", recording))
        undo.callback(object.__setattr__, consumer, "activation", activation)
        object.__setattr__(consumer, "activation", bypassed)
        (found,) = compute_gradients(model, *sample, variables=[bypass])
    return found


def _same_kind(producer: Any, consumer: Any) -> bool:
    if type(producer) is keras.layers.Dense:
        return type(consumer) is keras.layers.Dense
    return (
        type(producer) in CONVOLUTIONS
        and type(consumer) is type(producer)
        and producer.groups == consumer.groups == 1
        and producer.data_format == consumer.data_format == "channels_last"
        and {producer.padding, consumer.padding} <= {"same", "valid"}
    )


def _between(
    graph: ChannelGraph, producer: Any, consumer: Any
) -> list[Any] | None:
    """Lists the layers from one to the other, `None` if there are others."""
    calls = list(all_nodes(graph.model))
    for layer in (producer, consumer):
        if sum(node.operation is layer for node in calls) != 1:
            return None
    made_by = {id(out): node for node in calls for out in node.outputs}
    node = next(node for node in calls if node.operation is consumer)
    between: list[Any] = []
    while True:
        (tensor,) = node.input_tensors
        node = made_by.get(id(tensor))
        if node is None:
            return None
        if node.operation is producer:
            return between[::-1]
        if not isinstance(node.operation, BETWEEN):
            return None
        between.append(node.operation)


def _start(producer: Any, consumer: Any, between: list[Any]) -> LayerPair:
    """Decides on the bias of new units, and what they send on with it."""

    def send(value: float) -> float:
        tensor = ops.full((1,) * len(producer.kernel.shape), value, "float32")
        if producer.activation is not None:
            tensor = producer.activation(tensor)
        for layer in between:
            if not hasattr(layer, "rate"):
                tensor = layer(tensor)
        return float(ops.convert_to_numpy(tensor).reshape(()))

    is_dead = math.isclose(send(-1e-3), send(0.0), abs_tol=1e-9)
    bias = BIAS if is_dead else 0.0
    value = send(bias)
    reason = None
    if is_dead and producer.bias is None:
        reason = f"{describe(producer)} has no bias to get past the activation"
    elif value and consumer.bias is None:
        reason = f"{describe(consumer)} has no bias to make up for new units"
    elif abs(value) > 10 * BIAS and len(producer.kernel.shape) > 2:
        reason = "the activation is not 0 at 0, which shows at the borders"
    return LayerPair(producer, consumer, bias, value, reason)


def _best_rows(
    model: keras.Model, pair: LayerPair, sample: Sample, count: int
) -> tuple[np.ndarray, int]:
    """Returns outgoing weights of norm 1, one row a new unit, and the rank."""
    found = bypass_gradient(model, pair.producer, pair.consumer, sample)
    matrix = _as_matrix(found, pair.producer, pair.consumer)
    _, sizes, right = np.linalg.svd(matrix, full_matrices=False)
    rank = int((sizes > 1e-6 * max(sizes[0], 1e-30)).sum()) if sizes[0] else 0
    rank = min(rank, count)
    kernel = pair.consumer.kernel.shape
    rows = np.zeros((count, *kernel[:-2], kernel[-1]))
    rows[:rank] = right[:rank].reshape(rank, *kernel[:-2], kernel[-1])
    return rows, rank


def _as_matrix(found: np.ndarray, producer: Any, consumer: Any) -> np.ndarray:
    """Brings a bypass gradient to (incoming weights, outgoing weights).

    A unit with incoming weights at place v and outgoing ones at place u acts
    like a bypass at place v + stride u.
    """
    rank = found.ndim - 2
    if rank == 0:
        return found
    first = producer.kernel.shape[:rank]
    second = consumer.kernel.shape[:rank]
    matrix = np.zeros((*first, *second, *found.shape[-2:]), found.dtype)
    for place in np.ndindex(*first, *second):
        v, u = place[:rank], place[rank:]
        where = tuple(
            v[i] * producer.dilation_rate[i]
            + producer.strides[i] * consumer.dilation_rate[i] * u[i]
            for i in range(rank)
        )
        matrix[place] = found[where]
    order = (*range(rank), 2 * rank, *range(rank, 2 * rank), 2 * rank + 1)
    rows = math.prod(first) * found.shape[-2]
    return matrix.transpose(order).reshape(rows, -1)


def _reach(layer: Any, i: int) -> int:
    return (int(layer.kernel.shape[i]) - 1) * layer.dilation_rate[i] + 1


def _bypass(
    producer: Any, consumer: Any, inputs: Any, bypass: Any, values: Any
) -> Any:
    kernel = ops.convert_to_tensor(bypass)
    inputs = ops.cast(inputs, "float32")
    rank = len(kernel.shape) - 2
    if rank == 0:
        return ops.matmul(inputs, kernel)
    pads = [(0, 0)]
    strides = []
    for i in range(rank):
        stride = producer.strides[i] * consumer.strides[i]
        middle = -(-inputs.shape[i + 1] // producer.strides[i])
        left = _left(producer, i, inputs.shape[i + 1])
        left += producer.strides[i] * _left(consumer, i, middle)
        needed = (values.shape[i + 1] - 1) * stride + kernel.shape[i]
        right = max(0, needed - inputs.shape[i + 1] - left)
        pads.append((left, right))
        strides.append(stride)
    inputs = ops.pad(inputs, [*pads, (0, 0)])
    made = ops.conv(inputs, kernel, strides=tuple(strides), padding="valid")
    cut = (slice(None), *(slice(0, n) for n in values.shape[1:-1]))
    return made[cut]


def _left(layer: Any, i: int, size: int) -> int:
    """Zeros that "same" padding puts before an axis."""
    if layer.padding != "same":
        return 0
    stride = layer.strides[i]
    total = (-(-size // stride) - 1) * stride + _reach(layer, i) - size
    return max(0, total) // 2
