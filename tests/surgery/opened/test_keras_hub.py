"""Blocks of keras_hub are cut exactly and reload."""

import keras
import numpy as np
import pytest
from keras import layers as L

from keras_netopt import surgery
from keras_netopt.surgery import ChannelGraph

from .test_open_layers import masked, outputs


def around(layer, rng):
    """A model around a layer, and its inputs."""
    inputs = keras.Input((5, 8))
    y = L.Flatten()(layer(L.Dense(8)(inputs)))
    x = rng.normal(size=(4, 5, 8)).astype("float32")
    return keras.Model(inputs, L.Dense(3)(y)), x


def encoder(hub, rng):
    """BERT-like."""
    return around(hub.layers.TransformerEncoder(14, 4), rng)


def decoder(hub, rng):
    """GPT-2-like."""
    return around(hub.layers.TransformerDecoder(14, 4), rng)


def llama(hub, rng):
    """Two heads of keys and values for four of queries, SwiGLU."""
    backbone = hub.models.LlamaBackbone(
        vocabulary_size=9,
        num_layers=1,
        num_query_heads=4,
        num_key_value_heads=2,
        hidden_dim=8,
        intermediate_dim=14,
    )
    tokens = rng.integers(0, 9, (4, 5))
    x = {"token_ids": tokens, "padding_mask": np.ones_like(tokens)}
    inputs = {name: keras.Input((5,), dtype="int32", name=name) for name in x}
    y = L.Flatten()(backbone(inputs))
    return keras.Model(inputs, L.Dense(3)(y)), x


@pytest.mark.backend("tensorflow")
@pytest.mark.parametrize("block", [encoder, decoder, llama])
def test_block_is_cut_exactly_and_reloads(block, tmp_path):
    hub = pytest.importorskip("keras_hub")
    rng = np.random.default_rng(0)
    model, x = block(hub, rng)
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            variable.assign(rng.normal(0, 0.4, variable.shape))
    graph = ChannelGraph(model)
    sets = [s for s in graph.layer_groups() if len(s.free) > 1]
    sets = [s for s in sets if s.normalized_by is None]
    gone = np.concatenate([s.free[1::2] for s in sets])
    units = {
        key: np.flatnonzero(np.isin(graph.units(key), gone)).tolist()
        for key in graph.producers
        if np.isin(graph.units(key), gone).any()
    }
    assert any(len(s.free) == 14 for s in sets)  # Feed-forward units.
    assert any(len(s.free) in (2, 4) for s in sets)  # Heads.
    before, expected = outputs(model, x), masked(model, graph, gone, x)

    surgery.remove(model, units)

    assert np.abs(before - expected).max() > 0.1
    np.testing.assert_allclose(outputs(model, x), expected, atol=1e-5)
    model.save(tmp_path / "cut.keras")
    loaded = keras.saving.load_model(tmp_path / "cut.keras")
    np.testing.assert_array_equal(outputs(loaded, x), outputs(model, x))
