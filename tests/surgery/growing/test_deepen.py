"""New blocks after a layer preserve the outputs."""

import keras
import numpy as np
import pytest
from surgery.conftest import EAGER, stir
from surgery.growing.deepen_nets import (
    answers,
    array_of,
    assert_like_reloaded,
    assert_preserved,
    cnn,
    data,
    mlp,
    nested,
    ready,
)

from keras_netopt import surgery
from keras_netopt.surgery.growing.deepen import deepen

layers = keras.layers
BACKEND = keras.backend.backend()
ACTIVATIONS = ["relu", "gelu", "silu", "tanh"]


@pytest.mark.parametrize(
    "activation, after",
    [(name, "conv") for name in ACTIVATIONS]
    + [("gelu", name) for name in ("linear", "add", "down", "dense")],
)
def test_a_residual_block_changes_nothing(activation, after):
    model = cnn(activation)
    held = list(model.weights)
    objects = list(model.layers)
    before = surgery.snapshot(model, data(model)[0])
    report = deepen(model, after)

    assert_preserved(before, model, 0.0)
    norm = ["norm"] if after == "conv" else []
    parts = ["first", *norm, "activation", "last", "add"]
    assert report.inserted == tuple(f"{after}_deeper1_{one}" for one in parts)
    assert report.after.params > report.before.params
    assert report.after.macs > report.before.macs
    assert report.after.params == model.count_params()
    assert all(any(v is w for w in model.weights) for v in held)
    assert all(any(one is two for two in model.layers) for one in objects)


@pytest.mark.parametrize(
    ("build", "inserted"),
    [
        (mlp, {"hidden": "hidden_deeper1"}),
        (cnn, {"conv": "conv_deeper1_first"}),
        (
            nested,
            {
                "enc/fc": "fc_deeper1_first",
                "head/after": "after_deeper1",
                "enc": "enc_deeper1_first",
            },
        ),
    ],
)
def test_a_trained_model_trains_on_saves_reloads_and_clones(
    build, inserted, tmp_path
):
    model = stir(build(run_eagerly=EAGER))
    x, y = data(model)
    for after, first in inserted.items():
        before = surgery.snapshot(model, x)
        assert deepen(model, after).inserted[0] == first
        assert_preserved(before, model, 0.0)

    new = [v for v in model.trainable_variables if "deeper1" in v.path]
    old = [array_of(v) for v in new]
    model.fit(x, y, batch_size=24, verbose=0)
    moved = [(array_of(v) != o).any() for v, o in zip(new, old, strict=True)]
    assert sum(moved) == len(moved) > 1
    assert_like_reloaded(model, tmp_path)


def test_the_block_follows_normalization_and_activation():
    model = cnn()
    deepen(model, "conv")
    names = [layer.name for layer in model.layers]
    block = model.layers[4:9]
    first, norm, act, last, add = block

    assert names[1:5] == ["conv", "norm", "act", "conv_deeper1_first"]
    assert [type(one).__name__ for one in block] == [
        "Conv2D",
        "BatchNormalization",
        "Activation",
        "Conv2D",
        "Add",
    ]
    assert norm.momentum == 0.9 and act.activation is keras.activations.relu
    assert first.kernel_size == (3, 3) and not first.use_bias
    assert first.filters == last.filters == 6
    assert first.dilation_rate == (1, 1)
    assert array_of(first.kernel).any() and not array_of(last.kernel).any()
    assert [node.operation.name for node in add._outbound_nodes] == [
        "linear",
        "add",
    ]


def test_in_a_sequential_model_a_block_is_one_layer():
    model = mlp()
    held = model.layers
    deepen(model, "hidden", copies=2)
    block = model.get_layer("hidden_deeper2")

    assert [layer.name for layer in block.layers[1:]] == [
        f"hidden_deeper2_{one}"
        for one in ("first", "activation", "last", "add")
    ]
    assert [model.layers[k] for k in (0, 3, 4)] == held


def test_a_dense_block_follows_pooled_features():
    model = cnn()
    report = deepen(model, model.layers[-3].name)
    kinds = [type(model.get_layer(n)).__name__ for n in report.inserted]
    assert kinds == ["Dense", "Activation", "Dense", "Add"]


FORMS = ["channels_last", "channels_first"]


# TensorFlow has no convolution of channels first on a CPU.
@pytest.mark.parametrize("form", FORMS[: 1 + (BACKEND != "tensorflow")])
def test_convolutions_keep_their_data_format(form):
    inputs = keras.Input((4, 12) if form == "channels_first" else (12, 4))
    x = layers.Conv1D(6, 2, activation="relu", data_format=form, name="c")(
        inputs
    )
    x = layers.GlobalAveragePooling1D(data_format=form)(x)
    model = keras.Model(inputs, layers.Dense(3)(x))
    before = surgery.snapshot(model)
    deepen(model, "c")
    first = model.get_layer("c_deeper1_first")

    assert first.data_format == form and first.kernel_size == (3,)
    assert_preserved(before, model, 0.0)


def test_even_a_transposed_convolution_gets_a_block():
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2DTranspose(4, 2, strides=2, name="up")(inputs)
    x = layers.PReLU(name="prelu")(x)
    model = keras.Model(inputs, layers.Conv2D(2, 1, name="out")(x))
    before = surgery.snapshot(model)
    deepen(model, "up")

    names = [layer.name for layer in model.layers]
    assert names[2:4] == ["prelu", "up_deeper1_first"]
    assert_preserved(before, model, 0.0)


@pytest.mark.parametrize(
    ("build", "after", "activation"),
    [(mlp, "hidden", "relu6"), (cnn, "conv", "relu")],
)
def test_an_identity_layer_changes_nothing_after_relu(
    build, after, activation, tmp_path
):
    model = build(activation)
    before = surgery.snapshot(model, data(model)[0])
    report = deepen(model, after, init="identity", copies=2)

    assert len(report.inserted) == 4
    assert_preserved(before, model)
    deeper = model.get_layer(f"{after}_deeper2")
    assert deeper.kernel.trainable and array_of(deeper.kernel).sum() == (
        10 if after == "hidden" else 6
    )
    assert_like_reloaded(model, tmp_path)


@pytest.mark.parametrize("activation", ["gelu", "silu", "tanh", "elu"])
def test_an_identity_layer_is_refused_if_not_idempotent(activation):
    model = mlp(activation)
    with pytest.raises(ValueError) as caught:
        deepen(model, "hidden", init="identity")
    assert str(caught.value) == (
        'Argument `init` can be "identity" only after an idempotent '
        f"activation such as ReLU; the activation here is {activation}. "
        'Use init="residual_zero". Received: init="identity"'
    )
    assert len(model.layers) == 3


def test_an_identity_layer_is_refused_without_an_activation():
    model = cnn()
    with pytest.raises(ValueError, match="activation here is no activation"):
        deepen(model, "linear", init="identity")


def test_a_copy_has_the_weights_of_its_layer(tmp_path):
    model = stir(cnn())
    x, _ = data(model)
    first = model.get_layer("linear")
    before = answers(model, x)
    report = deepen(model, "linear", init="copy", copies=2)

    assert report.inserted == ("linear_deeper1", "linear_deeper2")
    assert report.notes[0] == "init='copy' changes the outputs"
    assert "call `surgery.replay(model, path)` before" in report.notes[1]
    for name in report.inserted:
        copy = model.get_layer(name)
        assert copy.kernel is not first.kernel
        for one, two in zip(
            copy.get_weights(), first.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(one, two)
    assert np.abs(answers(model, x) - before).max() > 1e-3
    assert_like_reloaded(model, tmp_path)


def test_a_copy_includes_normalization_activation_and_nested_models(tmp_path):
    source = keras.Input((4,))
    x = layers.Dense(4, activation="relu", name="fc")(source)
    inner = keras.Model(source, x, name="stage")
    inputs = keras.Input((4,))
    x = layers.Dense(4, name="first")(inputs)
    x = layers.BatchNormalization(momentum=0.9, name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    model = keras.Model(inputs, layers.Dense(3)(inner(x)))
    model = ready(model, run_eagerly=EAGER)
    one = deepen(model, "first", init="copy")
    two = deepen(model, "stage", init="copy", copies=2)

    assert one.inserted == ("first_deeper1", "norm_deeper1", "relu_deeper1")
    assert two.inserted == ("stage_deeper1", "stage_deeper2")
    assert len({v.path for v in model.weights}) == len(model.weights)
    x, y = data(model)
    model.fit(x, y, verbose=0)
    assert_like_reloaded(model, tmp_path)


def test_a_copy_is_refused_where_it_does_not_fit():
    model = cnn()
    with pytest.raises(ValueError) as caught:
        deepen(model, "down", init="copy")
    assert str(caught.value) == (
        "Layer 'down' cannot be copied after itself: it takes "
        "[(None, 8, 8, 6)] and returns (None, 3, 3, 5). Use "
        'init="residual_zero". Received: init="copy"'
    )
    with pytest.raises(
        ValueError, match="^Layer 'act' has no weights, so a copy"
    ):
        deepen(model, "act", init="copy")


def test_gaussian_blocks_end_in_a_random_norm():
    model = cnn()
    x, _ = data(model)
    before = answers(model, x)
    deepen(model, "conv", init="gaussian", seed=5)
    norm = model.get_layer("conv_deeper1_last_norm")

    assert np.abs(array_of(norm.gamma)).std() > 0.1
    assert norm.momentum == 0.9
    assert array_of(model.get_layer("conv_deeper1_last").kernel).any()
    assert np.abs(answers(model, x) - before).max() > 1e-3
    other = cnn()
    deepen(other, "conv", init="gaussian", seed=5)
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    deepen(third := cnn(), "conv", init="gaussian", seed=6)
    gamma = third.get_layer("conv_deeper1_last_norm").gamma
    assert not np.array_equal(array_of(norm.gamma), array_of(gamma))
