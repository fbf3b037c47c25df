"""Heads inside opened layers; tables and constants beside them."""

import keras
import numpy as np
import pytest
from keras import layers as L

from keras_netopt import surgery
from keras_netopt.surgery import ChannelGraph

from . import attention_layers as own
from .layers import Attention, data
from .test_open_layers import masked, outputs


def around(layer):
    inputs = keras.Input((5, 8))
    y = layer(L.Dense(8, name="before")(inputs))
    y = y[0] if isinstance(y, (list, tuple)) else y
    model = keras.Model(inputs, L.Dense(3)(L.Flatten()(y)))
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.5, variable.shape))
    return model


HEADS = [
    (Attention(4, name="own"), "own/value"),
    (own.BiasedAttention(4, name="own"), "own/value"),
    (own.EmptyExtra(4, name="own"), "own/value"),
    (own.OneHeadSize(4, name="own"), ("own/value", "h")),
    (own.Positions(name="own"), "own/attention"),
]


@pytest.mark.parametrize(
    ("layer", "place"), HEADS, ids=[type(layer).__name__ for layer, _ in HEADS]
)
def test_half_of_the_heads_are_removed_exactly(layer, place):
    model, x = around(layer), data()
    graph = ChannelGraph(model)
    name = place if isinstance(place, tuple) else (place, "")
    group = graph.layer_group(*name)
    assert (len(group.free), group.reason) == (4, None)
    before, expected = (
        outputs(model, x),
        masked(model, graph, group.free[1::2], x),
    )
    units = np.flatnonzero(np.isin(graph.units(*name), group.free[1::2]))

    surgery.remove(model, {":".join(name).rstrip(":"): units.tolist()})

    assert np.abs(before - expected).max() > 0.05
    np.testing.assert_allclose(outputs(model, x), expected, atol=5e-6)
