"""Predicted costs of a cut against the measured costs of the cut model."""

import keras
import numpy as np
import pytest

from keras_netopt.surgery import ChannelGraph, ModelSize, remove
from keras_netopt.surgery.cutting.cost_model import CostModel

L = keras.layers


def _residual():
    inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(8, 3, padding="same", name="cut")(inputs)
    y = L.DepthwiseConv2D(3, padding="same")(x)
    y = L.BatchNormalization(momentum=0.9)(y)
    x = L.Add()([x, L.Conv2D(8, 1)(y)])
    x = L.Concatenate()([x, L.SeparableConv2D(6, 3, padding="same")(x)])
    x = L.Conv2DTranspose(4, 2, strides=2)(x)
    return keras.Model(inputs, L.Dense(2)(L.Flatten()(x)))


def _recurrent():
    return keras.Sequential(
        [
            keras.Input((5, 4)),
            L.GRU(8, return_sequences=True, name="cut"),
            L.LSTM(6),
            L.Dense(2),
        ]
    )


def _conv_recurrent():
    return keras.Sequential(
        [
            keras.Input((3, 6, 2)),
            L.ConvLSTM1D(8, 2, strides=2, return_sequences=True, name="cut"),
            L.ConvLSTM1D(4, 2),
            L.Flatten(),
            L.Dense(2),
        ]
    )


def _attention():
    inputs = keras.Input((6, 8))
    x = L.MultiHeadAttention(8, 4, name="cut")(inputs, inputs)
    return keras.Model(inputs, L.Dense(2)(x))


def _nested():
    inner = keras.Sequential([keras.Input((6,)), L.Dense(8, name="cut")])
    inputs = keras.Input((6,))
    x = L.Dense(4)(inner(inputs))
    return keras.Model(inputs, L.Dense(2)(x))


@pytest.mark.parametrize(
    "build", [_residual, _recurrent, _conv_recurrent, _attention, _nested]
)
def test_predicted_costs_are_those_of_the_cut_model(build):
    model = build()
    graph = ChannelGraph(model)
    cost_model, kept = CostModel(graph), np.ones(graph.group_count, bool)
    whole = ModelSize.of(model)
    assert cost_model.params(kept) == whole.params
    assert cost_model.macs(kept) == pytest.approx(whole.macs)

    kept[graph.units("cut")[[1, 4, 5]]] = False
    remove(model, {"cut": [1, 4, 5]})
    after = ModelSize.of(model)

    assert after.macs < 0.9 * whole.macs
    assert cost_model.params(kept) == after.params
    assert cost_model.macs(kept) == pytest.approx(after.macs)
