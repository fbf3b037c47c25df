"""GradMax: initializes new units to maximize their gradient norm.

The incoming weights of a new unit are zero, which preserves the outputs. The
outgoing weights are singular vectors of the gradient of a linear bypass
around the unit.
"""

import math
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.graph.layer_paths import describe_operation
from keras_netopt.graph.read_value import to_numpy
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.coupled_axis import IN, OUT
from keras_netopt.surgery.edits.edit_plan import NewPositions
from keras_netopt.surgery.growing.calibration_batch import CalibrationBatch
from keras_netopt.surgery.growing.new_units import (
    OUTGOING_SCALE,
    GrowthPlan,
    mean_norm,
)
from keras_netopt.training.gradients import compute_gradients
from keras_netopt.training.override_method import override_method

# The derivative of ReLU at 0 is 0 on every backend.
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
    """A layer and the only layer that takes its units as input.

    `bias` is the bias of new units and `value` their output after the
    activation. `reason` says why GradMax cannot be used here, if so.
    """

    producer: Any = None
    consumer: Any = None
    bias: float = 0.0
    value: float = 0.0
    reason: str | None = None


def check_calibration_batch(batch: CalibrationBatch | None) -> None:
    """Checks that there are inputs and targets."""
    if batch is None or batch.y is None:
        received = None if batch is None else "inputs without targets"
        raise ValueError(
            "Argument `calibration_data` must hold inputs and targets for "
            "new_units='gradmax': pass calibration_data=(x, y). "
            f"Received: calibration_data={received}"
        )


def find_layer_pair(
    graph: ChannelGraph, layer: Any, kind: str = ""
) -> LayerPair:
    """Finds the consumer of a layer's units and checks that GradMax applies.

    Where it does not, the returned pair only holds the reason.
    """
    producer = graph.find(layer[0] if isinstance(layer, tuple) else layer)
    groups = np.unique(graph.units(layer, kind))
    bound = [
        b
        for b in graph.coupled_axes
        if np.isin(graph.group_of[b.ids], groups).any()
    ]
    consumers = [b for b in bound if b.role == IN]
    makers = [b for b in bound if b.role == OUT and b.layer is producer]
    if len(consumers) != 1 or len(makers) + 1 != len(bound):
        return LayerPair(
            reason="several layers make, change or consume the units"
        )
    consumer = consumers[0].layer
    if len(consumers[0].ids) != len(graph.units(layer, kind)):
        return LayerPair(
            reason="a unit occupies several inputs of the consumer"
        )
    if not _same_kind(producer, consumer):
        return LayerPair(
            reason=f"{describe_operation(producer)} and "
            f"{describe_operation(consumer)} are not two dense layers or two "
            "convolutions without groups"
        )
    between = _layers_between(graph, producer, consumer)
    if between is None:
        return LayerPair(reason="more than an activation is between the layers")
    return _make_pair(producer, consumer, between)


def set_gradmax_weights(
    graph: ChannelGraph,
    pair: LayerPair,
    growth: GrowthPlan,
    batch: CalibrationBatch,
) -> list[str]:
    """Sets the outgoing weights of new units to the largest gradient.

    Changes `growth`, the plan for "zero", and returns notes for the report.
    """
    kernel = pair.consumer.kernel
    count = sum(int((n >= 0).sum()) for n in growth.new_numbers.values())
    rows, rank = _best_rows(graph.model, pair, batch, count)
    axis = len(kernel.shape) - 2
    old = np.moveaxis(to_numpy(kernel), axis, 0)
    rows = rows * OUTGOING_SCALE * mean_norm(old)
    for one, numbers in growth.new_numbers.items():
        growth.shares[one] = np.ones(len(numbers))

    def outgoing(positions: NewPositions, array: np.ndarray) -> np.ndarray:
        return np.moveaxis(rows.astype(array.dtype), 0, axis)

    def incoming(positions: NewPositions, array: np.ndarray) -> np.ndarray:
        is_bias = positions.coupled_axis.variable is pair.producer.bias
        return np.asarray(pair.bias if is_bias else 0.0, array.dtype)

    growth.outgoing, growth.incoming = outgoing, incoming
    if pair.value:
        total = rows.reshape(-1, rows.shape[-1]).sum(axis=0)
        growth.added[id(pair.consumer.bias)] = -pair.value * total
    if rank < count:
        return [
            f"the gradient has {rank} directions: {count - rank} of {count} "
            "new units start with zero outgoing weights"
        ]
    return []


def bypass_gradient(
    model: keras.Model, producer: Any, consumer: Any, batch: CalibrationBatch
) -> np.ndarray:
    """Computes the gradient of a linear bypass around the units of a layer.

    The bypass maps the input of `producer` to the output of `consumer` before
    its activation; its weights are zero. The model must be compiled and the
    batch must have targets. The gradient has the shape of the bypass' kernel.
    """
    rank = len(producer.kernel.shape) - 2
    size = [
        _extent(producer, i) + producer.strides[i] * (_extent(consumer, i) - 1)
        for i in range(rank)
    ]
    shape = (*size, producer.kernel.shape[-2], consumer.kernel.shape[-1])
    bypass = keras.Variable(np.zeros(shape, "float32"), name="bypass")
    inputs_seen: list[Any] = []
    call, activation = producer.call, consumer.activation

    def recording(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        inputs_seen.append(inputs)
        return call(inputs, *args, **kwargs)

    def bypassed(values: Any) -> Any:
        extra = _bypass(producer, consumer, inputs_seen.pop(), bypass, values)
        values = values + ops.cast(extra, values.dtype)
        return values if activation is None else activation(values)

    with ExitStack() as undo:
        undo.callback(override_method(producer, "call", recording))
        undo.callback(object.__setattr__, consumer, "activation", activation)
        object.__setattr__(consumer, "activation", bypassed)
        (found,) = compute_gradients(model, *batch, variables=[bypass])
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


def _layers_between(
    graph: ChannelGraph, producer: Any, consumer: Any
) -> list[Any] | None:
    """Lists the layers between two layers, `None` where not in `BETWEEN`."""
    calls = graph.calls
    for layer in (producer, consumer):
        if sum(node.operation is layer for node in calls) != 1:
            return None
    made_by = {id(out): node for node in calls for out in node.outputs}
    node = next(node for node in calls if node.operation is consumer)
    between: list[Any] = []
    while True:
        (tensor,) = node.input_tensors
        if id(tensor) not in made_by:
            return None
        node = made_by[id(tensor)]
        if node.operation is producer:
            return between[::-1]
        if not isinstance(node.operation, BETWEEN):
            return None
        between.append(node.operation)


def _make_pair(producer: Any, consumer: Any, between: list[Any]) -> LayerPair:
    """Chooses the bias of new units and computes their output with it."""

    def output_of(value: float) -> float:
        tensor = ops.full((1,) * len(producer.kernel.shape), value, "float32")
        if producer.activation is not None:
            tensor = producer.activation(tensor)
        for layer in between:
            if not hasattr(layer, "rate"):
                tensor = layer(tensor)
        return float(ops.convert_to_numpy(tensor).reshape(()))

    is_dead = math.isclose(output_of(-1e-3), output_of(0.0), abs_tol=1e-9)
    bias = BIAS if is_dead else 0.0
    value = output_of(bias)
    reason = None
    if is_dead and producer.bias is None:
        name = describe_operation(producer)
        reason = f"{name} has no bias to move past the activation's zero"
    elif value and consumer.bias is None:
        name = describe_operation(consumer)
        reason = f"{name} has no bias to compensate for new units"
    elif abs(value) > 10 * BIAS and len(producer.kernel.shape) > 2:
        reason = "the activation is not 0 at 0, which changes border pixels"
    return LayerPair(producer, consumer, bias, value, reason)


def _best_rows(
    model: keras.Model, pair: LayerPair, batch: CalibrationBatch, count: int
) -> tuple[np.ndarray, int]:
    """Returns outgoing weights of norm 1, a row per new unit, and the rank."""
    found = bypass_gradient(model, pair.producer, pair.consumer, batch)
    matrix = reshape_to_matrix(found, pair.producer, pair.consumer)
    _, sizes, right = np.linalg.svd(matrix, full_matrices=False)
    rank = int((sizes > 1e-6 * max(sizes[0], 1e-30)).sum()) if sizes[0] else 0
    rank = min(rank, count)
    kernel = pair.consumer.kernel.shape
    rows = np.zeros((count, *kernel[:-2], kernel[-1]))
    rows[:rank] = right[:rank].reshape(rank, *kernel[:-2], kernel[-1])
    return rows, rank


def reshape_to_matrix(
    found: np.ndarray, producer: Any, consumer: Any
) -> np.ndarray:
    """Reshapes a bypass gradient to (incoming weights, outgoing weights).

    A unit with incoming weights at offset v and outgoing weights at offset u
    acts like a bypass at offset v + stride u.
    """
    rank = found.ndim - 2
    if rank == 0:
        return found
    first = producer.kernel.shape[:rank]
    second = consumer.kernel.shape[:rank]
    matrix = np.zeros((*first, *second, *found.shape[-2:]), found.dtype)
    for offsets in np.ndindex(*first, *second):
        v, u = offsets[:rank], offsets[rank:]
        where = tuple(
            v[i] * producer.dilation_rate[i]
            + producer.strides[i] * consumer.dilation_rate[i] * u[i]
            for i in range(rank)
        )
        matrix[offsets] = found[where]
    order = (*range(rank), 2 * rank, *range(rank, 2 * rank), 2 * rank + 1)
    rows = math.prod(first) * found.shape[-2]
    return matrix.transpose(order).reshape(rows, -1)


def _extent(layer: Any, i: int) -> int:
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
        left = _left_padding(producer, i, inputs.shape[i + 1])
        left += producer.strides[i] * _left_padding(consumer, i, middle)
        needed = (values.shape[i + 1] - 1) * stride + kernel.shape[i]
        right = max(0, needed - inputs.shape[i + 1] - left)
        pads.append((left, right))
        strides.append(stride)
    inputs = ops.pad(inputs, [*pads, (0, 0)])
    made = ops.conv(inputs, kernel, strides=tuple(strides), padding="valid")
    cut = (slice(None), *(slice(0, n) for n in values.shape[1:-1]))
    return made[cut]


def _left_padding(layer: Any, i: int, size: int) -> int:
    """Returns the number of zeros that "same" padding adds before an axis."""
    if layer.padding != "same":
        return 0
    stride = layer.strides[i]
    total = (-(-size // stride) - 1) * stride + _extent(layer, i) - size
    return max(0, total) // 2
