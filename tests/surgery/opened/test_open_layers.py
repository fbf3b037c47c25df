"""Layers without a handler are traced into, edited, or refused by name."""

import numpy as np
import pytest
from keras import ops

from keras_netopt import surgery
from keras_netopt.surgery import ChannelGraph

from . import layers as own


def outputs(model, x):
    return ops.convert_to_numpy(model(x))


def masked(model, graph, groups, x):
    """Outputs with the weights that read some groups set to zero."""
    gone = np.isin(np.arange(graph.group_count), groups)
    weights = model.get_weights()
    places = {id(v): k for k, v in enumerate(model.weights)}
    zeroed = [w.copy() for w in weights]
    for axis in graph.coupled_axes:
        if axis.role == "in":
            array = zeroed[places[id(axis.variable)]]
            np.moveaxis(array, axis.axis, 0)[gone[graph.group_of[axis.ids]]] = 0
    model.set_weights(zeroed)
    found = outputs(model, x)
    model.set_weights(weights)
    return found


CUT = [
    (own.FeedForward(12, name="own"), "own/first"),
    (own.Remembering(12, name="own"), "own/first"),
    (own.Counting(12, name="own"), "own/first"),
    (own.Repeating(12, name="own"), "own/first"),
    (own.Outer(12, name="own"), "own/inside/first"),
]


@pytest.mark.parametrize(
    ("layer", "place"), CUT, ids=[type(layer).__name__ for layer, _ in CUT]
)
def test_half_of_the_units_inside_are_removed_exactly(layer, place):
    model, x = own.around(layer), own.data()
    graph = ChannelGraph(model)
    name = place if isinstance(place, tuple) else (place, "")
    units = graph.units(*name)
    groups = np.unique(units)[: len(np.unique(units)) // 2]
    removed = [k for k, group in enumerate(units) if group in groups]
    before, expected = outputs(model, x), masked(model, graph, groups, x)
    sizes = model.count_params()

    key = ":".join(name) if name[1] else name[0]
    surgery.remove(model, {key: removed})

    assert np.abs(before - expected).max() > 0.05
    np.testing.assert_allclose(outputs(model, x), expected, atol=2e-6)
    assert model.count_params() < sizes
