"""Custom blocks, positions of blocks, and refusals."""

import json

import keras
import numpy as np
import pytest
from surgery.conftest import EAGER, stir
from surgery.growing.deepen_nets import (
    answers,
    assert_like_reloaded,
    assert_preserved,
    cnn,
    data,
    mlp,
    nested,
)

from keras_netopt import surgery
from keras_netopt.surgery.growing.deepen import deepen

layers = keras.layers


@keras.saving.register_keras_serializable("test_deepen")
def squeeze(x):
    """An example of a block with ops and layers."""
    h = layers.Dense(2, activation="gelu", name="in")(x)
    return x + layers.Dense(x.shape[-1], kernel_initializer="zeros")(h)


def test_a_block_function(tmp_path):
    model = cnn()
    x, _ = data(model)
    before = surgery.snapshot(model, x)
    report = deepen(model, "conv", block=squeeze, copies=2)

    assert report.inserted == ("conv_deeper1", "conv_deeper2")
    assert report.edit["block"] == "test_deepen>squeeze"
    assert report.notes[0] == (
        "the `block` function decides whether the outputs are preserved"
    )
    assert_preserved(before, model)
    assert_like_reloaded(model, tmp_path)
    again = cnn()
    assert surgery.replay(again, [json.loads(json.dumps(report.edit))]) == 1
    assert [w.shape for w in again.get_weights()] == [
        w.shape for w in model.get_weights()
    ]


@pytest.mark.parametrize(
    "block, text",
    [
        (lambda x: x, "and returns the result. Received: <KerasTensor"),
        (lambda x: 3, "and returns the result. Received: 3"),
        (
            lambda x: layers.Dense(3)(x),
            r"must return a tensor like its input: shape \(None, 10\), "
            r"float32. Received: shape \(None, 3\), float32",
        ),
        ("nowhere", "or a name registered with"),
    ],
)
def test_invalid_blocks_are_refused(block, text):
    model = mlp()
    with pytest.raises(ValueError, match=text):
        deepen(model, "hidden", block=block)
    assert len(model.layers) == 3


@pytest.mark.parametrize(
    "build, inner, outer",
    [
        (cnn, "conv_deeper1_first", "conv"),
        (mlp, "hidden_deeper1/hidden_deeper1_first", "hidden"),
    ],
)
def test_a_block_can_be_widened_and_cut(build, inner, outer, tmp_path):
    model = build(run_eagerly=EAGER)
    x, y = data(model)
    deepen(model, outer)
    stir(model)
    before = surgery.snapshot(model, x)
    surgery.widen(model, inner, factor=2)
    surgery.widen(model, outer, add=3, new_units="net2net")
    deepen(model, inner)
    assert_preserved(before, model, 1e-5)
    surgery.remove(model, {inner: [0, 1], outer: [2]})
    model.fit(x, y, batch_size=24, verbose=0)
    assert_like_reloaded(model, tmp_path)


def test_bad_arguments_are_refused():
    model = mlp()
    with pytest.raises(ValueError, match="`copies` must be an integer of at"):
        deepen(model, "hidden", copies=0)
    with pytest.raises(TypeError, match="`copies` must be an integer"):
        deepen(model, "hidden", copies=1.5)
    with pytest.raises(
        ValueError, match="`init` must be one of 'residual_zero'"
    ):
        deepen(model, "hidden", init="zeros")
    with pytest.raises(TypeError, match="`block` must be a function from"):
        deepen(model, "hidden", block=3)
    with pytest.raises(ValueError, match="Omit one of the two"):
        deepen(model, "hidden", block=squeeze, init="copy")
    with pytest.raises(ValueError, match="There is no layer 'hiden'"):
        deepen(model, "hiden")
    with pytest.raises(ValueError, match="is not part of the model"):
        deepen(model, layers.Dense(3))


@pytest.mark.parametrize("after", ["logits", "probs", "scores", "flat", "map"])
def test_output_layers_are_refused(after):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="stem")(inputs)
    pooled = layers.GlobalAveragePooling2D()(x)
    logits = layers.Dense(3, name="logits")(pooled)
    map_ = layers.Conv2D(3, 1, name="map")(x)
    model = keras.Model(
        inputs,
        [
            layers.Softmax(name="probs")(logits),
            layers.Dense(2, activation="softmax", name="scores")(pooled),
            layers.Reshape((-1, 2))(layers.Conv2D(2, 1, name="flat")(x)),
            layers.Softmax()(layers.GlobalAveragePooling2D()(map_)),
        ],
    )
    with pytest.raises(ValueError) as caught:
        deepen(model, after)
    assert str(caught.value) == (
        f"Layer '{after}' makes an output of the model '{model.name}': no "
        "block can be inserted after it. Name a layer before it. "
        f"Received: layer='{after}'"
    )
    deepen(model, "stem")


def test_the_end_of_a_nested_model_is_an_output_only_at_the_end():
    model = nested()
    deepen(model, "enc/last")
    source = keras.Input((8,))
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(3, name="fc")])
    model = keras.Model(source, layers.Softmax()(inner(source)))
    with pytest.raises(ValueError, match="^Layer '.*/fc' makes an output"):
        deepen(model, "fc")


def test_features_that_are_pooled_into_the_output_may_get_a_block():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    before = surgery.snapshot(model)
    deepen(model, "conv")
    assert_preserved(before, model, 0.0)


def test_calls_without_a_position_for_a_block_are_refused():
    shared = layers.Dense(4, activation="relu", name="shared")
    inputs = keras.Input((4, 4), name="source")
    x = shared(shared(inputs))
    x = layers.TimeDistributed(layers.Dense(4, name="inner"))(x)
    x, *_ = layers.LSTM(4, return_state=True, name="lstm")(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    for after, text in {
        "shared": "^Layer 'shared' is called 2 times, so the position of ",
        "inner": "^Layer '.*inner' lies inside another layer, where no block ",
        "lstm": "^Layer 'lstm' has 3 outputs; no block can be inserted after ",
        "source": "^Layer 'source' is an input; no block can be inserted ",
    }.items():
        with pytest.raises(ValueError, match=text):
            deepen(model, after)


def test_models_without_a_graph_and_ftrl_are_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="is not built"):
        deepen(Own(), "x")
    with pytest.raises(ValueError, match="the optimizer Ftrl does not support"):
        deepen(mlp(optimizer="ftrl"), "hidden")
    model = mlp(optimizer="adafactor")
    with pytest.raises(ValueError, match='deepen with init="identity", or'):
        deepen(model, "hidden")


def test_a_mask_passes_through():
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True, name="emb")(inputs)
    x = layers.Dense(4, activation="gelu", name="dense")(x)
    x = layers.LSTM(4)(x)
    model = keras.Model(inputs, layers.Dense(2, name="out")(x))
    tokens = np.array([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0], [7, 7, 7, 7, 7]])
    before = surgery.snapshot(model, tokens)
    unmasked = answers(model, np.where(tokens == 0, 8, tokens))
    assert np.abs(unmasked - before.inference[0]).max() > 1e-4
    for after in ("emb", "dense"):
        deepen(model, after)
    assert_preserved(before, model)


def test_a_mask_in_a_sequential_model_is_refused():
    """A file could not be read to the same model."""
    model = keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            layers.Embedding(9, 4, mask_zero=True, name="emb"),
            layers.Dense(4, activation="relu", name="dense"),
            layers.LSTM(4),
            layers.Dense(2, name="out"),
        ]
    )
    with pytest.raises(ValueError) as caught:
        deepen(model, "dense")
    assert str(caught.value) == (
        "A residual block cannot be inserted at a tensor with a mask in the "
        f"Sequential model '{model.name}'. Build it as `keras.Model(inputs, "
        "outputs)`. Received: a tensor with a mask"
    )
    tokens = np.array([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0]])
    before = surgery.snapshot(model, tokens)
    deepen(model, "dense", init="identity")
    assert_preserved(before, model)
