"""Chooses the rule of a call: by the handler of its layer."""

from typing import Any

import keras

from keras_netopt.surgery.compacting.attention_rule import AttentionRule
from keras_netopt.surgery.compacting.channelwise_rule import ChannelwiseRule
from keras_netopt.surgery.compacting.flow_rule import (
    FlowRule,
    PassageRule,
    TableRule,
)
from keras_netopt.surgery.compacting.linear_rule import (
    CONVOLUTIONS,
    SEPARABLE,
    TRANSPOSED,
    LinearRule,
)
from keras_netopt.surgery.compacting.recurrent_rule import (
    GATES,
    RecurrentRule,
)
from keras_netopt.surgery.handler_registry import find_handler
from keras_netopt.surgery.handlers.activations import is_elementwise

L = keras.layers
# Handlers of calls without mixing of channels. Others stay unknown: a call
# that only looks harmless would make a cut inexact.
CHANNELWISE = frozenset(
    (
        "ActivationHandler",
        "BatchNormHandler",
        "ConcatenateHandler",
        "DepthwiseHandler",
        "ElementwiseHandler",
        "FlattenHandler",
        "GlobalPoolingHandler",
        "LayerScaleHandler",
        "MergeHandler",
        "MergeOpHandler",
        "MoveaxisHandler",
        "PReLUHandler",
        "PermuteHandler",
        "RepeatVectorHandler",
        "RescalingHandler",
        "ReshapeHandler",
        "ReshapeOpHandler",
        "SpatialHandler",
        "SwapaxesHandler",
        "TransposeHandler",
    )
)


def choose_rule(call: Any, graph: Any, facts: Any, find_target: Any) -> Any:
    """Returns the rule of a call; a plain `FlowRule` if nothing is known."""
    if call.operation is None:
        return PassageRule(call, facts)
    layer = call.layer
    handler = find_handler(layer)
    reasons = [graph.unsupported_reason(one) for one in (call.operation, layer)]
    is_single = len(call.outputs) == 1
    if call.trains or handler is None or any(reasons):
        return FlowRule(call, facts)
    name = type(handler).__name__
    if _is_linear(name, layer) and is_single and len(call.arguments) == 1:
        return LinearRule(call, facts, find_target)
    if name == "EmbeddingHandler":
        return TableRule(call, facts)
    if _is_recurrent(layer, call):
        return RecurrentRule(call, facts)
    is_plain = getattr(layer, "_gate_dense", None) is None
    if name == "AttentionHandler" and is_plain and is_single:
        return AttentionRule(call, facts)
    if is_single and _is_channelwise(name, layer):
        return ChannelwiseRule(call, facts)
    return FlowRule(call, facts)


def _is_linear(name: str, layer: Any) -> bool:
    classes = (L.Dense, *CONVOLUTIONS, *TRANSPOSED, *SEPARABLE)
    if not isinstance(layer, classes) or not is_elementwise(layer.activation):
        return False
    if isinstance(layer, SEPARABLE) and layer.depth_multiplier != 1:
        return False
    return getattr(layer, "groups", 1) == 1 and name in (
        *("DenseHandler", "ConvHandler"),
        *("ConvTransposeHandler", "SeparableHandler"),
    )


def _is_channelwise(name: str, layer: Any) -> bool:
    if name == "ConvHandler":  # One filter per channel.
        inside = int(layer.kernel.shape[-2])
        return inside == 1 and layer.groups == layer.filters
    if name == "DepthwiseHandler":
        return bool(layer.depth_multiplier == 1)
    return name in CHANNELWISE


def _is_recurrent(layer: Any, call: Any) -> bool:
    """Whether a call runs known cells, from states of zero."""
    layers = [layer]
    if isinstance(layer, L.Bidirectional):
        if layer.merge_mode is None or len(call.outputs) > 1:
            return False
        layers = [layer.forward_layer, layer.backward_layer]
    return len(call.arguments) == 1 and all(
        isinstance(one, L.RNN)
        and type(one.cell) in GATES
        and not one.stateful
        and is_elementwise(one.cell.activation)
        for one in layers
    )
