"""Which tensors of a model get a range: those that LiteRT stores itself."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from keras_netopt.graph.graph_node import GraphNode
from keras_netopt.graph.layer_paths import index_operations
from keras_netopt.graph.model_graph import (
    graph_inputs,
    graph_outputs,
    has_graph,
    is_graph_model,
)
from keras_netopt.graph.recorded_calls import list_all_calls

# LiteRT fuses these with the op before them.
FUSED_ACTIVATIONS = ("linear", "relu", "relu6")
# The outputs that LiteRT prescribes for these ops.
FIXED = {
    "softmax": (0.0, 255 / 256),
    "sigmoid": (0.0, 255 / 256),
    "tanh": (-1.0, 127 / 128),
}
WITH_KERNEL = (
    layers.Dense,
    layers.EinsumDense,
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv3D,
    layers.Conv1DTranspose,
    layers.Conv2DTranspose,
    layers.Conv3DTranspose,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
)
IDENTITIES = frozenset(
    "Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D AlphaDropout "
    "GaussianDropout GaussianNoise ActivityRegularization Identity "
    "StopGradient".split()
)
# Ops whose output has the scale of their input.
MOVES = IDENTITIES | frozenset(
    "Flatten Reshape Permute RepeatVector Cropping1D Cropping2D Cropping3D "
    "ZeroPadding1D ZeroPadding2D ZeroPadding3D UpSampling1D UpSampling2D "
    "UpSampling3D MaxPooling1D MaxPooling2D MaxPooling3D GlobalMaxPooling1D "
    "GlobalMaxPooling2D GlobalMaxPooling3D Transpose Squeeze ExpandDims "
    "GetItem Split Take Pad BroadcastTo Repeat Tile Flip Max Swapaxes "
    "Moveaxis Ravel".split()
)
SUMS = frozenset("BatchNormalization Add Subtract Multiply".split())
CONCATENATIONS = frozenset(["Concatenate"])


@dataclass(frozen=True)
class RangePlace:
    """One tensor that gets a range.

    Args:
        path: Path of the operation in the model; of a model, "" the model
            itself, for one of its inputs.
        owner: The Functional or Sequential model around the call.
        operation: The layer or op; the model itself for an input.
        number: Which call of the operation in this model, from 0.
        kind: "input", "output", or "inner" before the activation of a layer.
        index: Which of the flat inputs or outputs.
        fixed: Minimum and maximum that LiteRT prescribes, or `None`.
    """

    path: str
    owner: Any
    operation: Any
    number: int
    kind: str
    index: int = 0
    fixed: tuple[float, float] | None = None


def check_graph(model: Any) -> None:
    """Raises ValueError for a model whose activations get no ranges."""
    if not is_graph_model(model) or not has_graph(model):
        raise ValueError(
            "Activation ranges require a Functional or a built Sequential "
            "model, whose graph of calls shows which activations LiteRT "
            f"stores. Received: model={model.name!r} of type "
            f"{type(model).__name__}. Train it without `activations` and "
            "calibrate the ranges at export: `to_litert(model, path, "
            'quantize="int8", calibration_data=x)`.'
        )
    operations = [call.operation for call in list_all_calls(model)]
    overridden = [
        one.name for one in (model, *operations) if "call" in vars(one)
    ]
    if overridden:
        raise ValueError(
            "Activation ranges override the `call` of a model, and must know "
            "what its layers compute: no `call` may be overridden on an "
            f"instance. Received: layers {sorted(set(overridden))}. Remove "
            "the override, or calibrate the ranges at export with "
            "`calibration_data`."
        )


def find_places(model: Any) -> list[RangePlace]:
    """Lists the tensors of a graph model that get a range.

    These are the float inputs of the model and the last output of each chain
    that LiteRT computes in one op, in order of the graph, then those of nested
    models. The order depends on the structure of the model alone.
    """
    flow = _Flow(model)
    paths = {key: path for key, (path, _) in index_operations(model).items()}
    found = [
        RangePlace("", model, model, 0, "input", i)
        for i, tensor in enumerate(graph_inputs(model))
        if _is_float(tensor) and not flow.is_concatenated(model, tensor)
    ]
    for call, number in flow.calls:
        operation = call.operation
        path = paths.get(id(operation), operation.name)
        place = (path, call.owner, operation, number)
        if _has_inner_range(operation):
            found.append(RangePlace(*place, "inner"))
        if _is_moving(operation):
            continue
        for i, tensor in enumerate(call.outputs):
            if _is_float(tensor) and not flow.is_fused(call, tensor):
                fixed = FIXED.get(_activation_name(operation))
                found.append(RangePlace(*place, "output", i, fixed))
    return found


class _Flow:
    """Who reads each tensor, through the borders of nested models."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.calls: list[tuple[GraphNode, int]] = []
        self._readers: dict[tuple[int, int], list[GraphNode]] = {}
        self._sites: dict[int, list[GraphNode]] = {}
        numbers: Counter[tuple[int, int]] = Counter()
        for call in list_all_calls(model):
            if call.is_input:
                continue
            owner = id(call.owner)
            for tensor in call.input_tensors:
                self._readers.setdefault((owner, id(tensor)), []).append(call)
            if is_graph_model(call.operation):
                self._sites.setdefault(id(call.operation), []).append(call)
                continue
            number = numbers[owner, id(call.operation)]
            numbers[owner, id(call.operation)] += 1
            self.calls.append((call, number))

    def readers(self, owner: Any, tensor: Any) -> Iterator[GraphNode | None]:
        """Yields the calls that read a tensor; `None` for the model's user."""
        if any(one is tensor for one in graph_outputs(owner)):
            if owner is self._model:
                yield None
            index = _index(graph_outputs(owner), tensor)
            for site in self._sites.get(id(owner), ()):
                yield from self.readers(site.owner, site.outputs[index])
        for call in self._readers.get((id(owner), id(tensor)), ()):
            operation = call.operation
            if is_graph_model(operation):
                index = _index(call.input_tensors, tensor)
                inside = graph_inputs(operation)[index]
                yield from self.readers(operation, inside)
            elif _name(operation) in IDENTITIES:
                yield from self.readers(call.owner, call.output)
            else:
                yield call

    def is_concatenated(self, owner: Any, tensor: Any) -> bool:
        """Whether the only reader of a tensor concatenates it."""
        found = list(self.readers(owner, tensor))
        return len(found) == 1 and (
            found[0] is not None and _name(found[0].operation) in CONCATENATIONS
        )

    def is_fused(self, call: GraphNode, tensor: Any) -> bool:
        """Whether LiteRT computes the reader of an output together with it."""
        if self.is_concatenated(call.owner, tensor):
            return True
        found = list(self.readers(call.owner, tensor))
        # A nested model may be called at several places.
        sites = max(1, len(self._sites.get(id(call.owner), ())))
        return 0 < len(found) <= sites and all(
            one is not None and _fuses(call.operation, one.operation)
            for one in found
        )


def _fuses(operation: Any, following: Any) -> bool:
    if isinstance(operation, WITH_KERNEL):
        if _activation_name(operation) != "linear":
            return False
        return _name(following) == "BatchNormalization" or _is_relu(following)
    return _name(operation) in SUMS and _is_relu(following)


def _is_relu(operation: Any) -> bool:
    """Whether LiteRT fuses it: ReLU and ReLU6 without a slope."""
    name = _name(operation)
    if name == "ReLU":
        plain = not operation.negative_slope and not operation.threshold
        return plain and operation.max_value in (None, 6)
    if name == "Activation":
        return _activation_name(operation) in ("relu", "relu6")
    return name in ("Relu", "Relu6")


def _is_moving(operation: Any) -> bool:
    return _name(operation) in MOVES


def _has_inner_range(operation: Any) -> bool:
    return isinstance(operation, WITH_KERNEL) and (
        _activation_name(operation) not in FUSED_ACTIVATIONS
    )


def _activation_name(operation: Any) -> str:
    """Returns the name of the activation function that an operation ends in."""
    name = _name(operation)
    if name in ("Softmax", "Sigmoid", "Tanh"):
        return name.lower()
    if not isinstance(operation, (*WITH_KERNEL, layers.Activation)):
        return "linear"
    function = operation.activation or keras.activations.linear
    name = getattr(function, "__name__", "")
    known = getattr(keras.activations, name, None)
    return name if known is function else "unknown"


def _name(operation: Any) -> str:
    """Returns the class of Keras, or "" for another class."""
    kind = type(operation)
    is_own = kind.__module__.startswith("keras.src.")
    return kind.__name__ if is_own else ""


def _is_float(tensor: Any) -> bool:
    if getattr(tensor, "sparse", False):
        return False
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    return dtype in ("float32", "float16", "bfloat16")


def _index(tensors: Any, tensor: Any) -> int:
    return next(i for i, one in enumerate(tensors) if one is tensor)
