"""Layers that make units with equal weights compute unequal values."""

from typing import Any

import keras
import numpy as np

from keras_netopt.graph.layer_paths import describe_operation
from keras_netopt.surgery.channels.channel_graph import ChannelGraph

RATES = ("rate", "stddev", "dropout", "recurrent_dropout", "_dropout")
HALF = ("float16", "bfloat16")


def find_random_layer(graph: ChannelGraph, groups: np.ndarray) -> str | None:
    """Returns which layer treats equal units differently in training mode."""
    for layer in _coupled_layers(graph, groups):
        if _is_random(layer):
            return f"{describe_operation(layer)} has dropout"
    for call in graph.calls:
        if not _is_random(call.operation):
            continue
        for tensor in call.input_tensors:
            for ids in graph.channel_axes(tensor).values():
                if np.isin(graph.group_of[ids], groups).any():
                    name = describe_operation(call.operation)
                    return f"{name} is between the layers"
    return None


def find_half_precision_layer(
    graph: ChannelGraph, groups: np.ndarray
) -> str | None:
    """Returns which layer is too imprecise for opposite terms to cancel."""
    for layer in _coupled_layers(graph, groups):
        if getattr(layer, "compute_dtype", None) in HALF:
            return (
                f"{describe_operation(layer)} computes in {layer.compute_dtype}"
            )
    return None


def _coupled_layers(graph: ChannelGraph, groups: np.ndarray) -> list[Any]:
    found = {
        id(b.layer): b.layer
        for b in graph.coupled_axes
        if np.isin(graph.group_of[b.ids], groups).any()
    }
    return list(found.values())


def _is_random(layer: Any) -> bool:
    if isinstance(layer, keras.Model):
        return False
    values = [getattr(layer, name, None) for name in RATES]
    return any(isinstance(v, int | float) and v > 0 for v in values)
