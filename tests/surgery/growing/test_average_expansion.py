"""Average expansion: normalized units grow by any number."""

import keras
import numpy as np
import pytest
from keras import layers
from surgery.conftest import EAGER, stir

from keras_netopt.callbacks import Growing
from keras_netopt.surgery import Widen, replay
from keras_netopt.surgery.edits.output_difference import (
    check_preserved,
    snapshot,
)
from keras_netopt.surgery.growing.widen import widen

STEPS, TOKENS, WIDTH = 6, 11, 8


def transformer(norm=layers.LayerNormalization, *, dropout=0.0):
    inputs = keras.Input((STEPS,), dtype="int32")
    x = layers.Embedding(TOKENS, WIDTH, name="tokens")(inputs)
    x = layers.Add()([x, layers.Embedding(TOKENS, WIDTH)(inputs)])
    h = norm(epsilon=0.1, name="first")(x)
    h = layers.MultiHeadAttention(2, 4)(h, h)
    x = x + layers.Dropout(dropout)(h)
    h = norm(epsilon=0.1)(x)
    h = layers.Dense(12, activation="gelu")(h)
    h = layers.Dense(WIDTH, name="down")(h)
    x = layers.Add()([x, h])
    x = norm(epsilon=0.1, name="last")(x)
    model = keras.Model(inputs, layers.Dense(TOKENS, name="out")(x))
    model.compile(
        keras.optimizers.Adam(1e-2),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=EAGER,
    )
    return stir(model)


@pytest.fixture
def tokens():
    rng = np.random.default_rng(1)
    return rng.integers(0, TOKENS, (16, STEPS)).astype("int32")


def array(variable):
    return np.array(keras.ops.convert_to_numpy(variable))


@pytest.mark.parametrize(
    ("layer", "norm"),
    [
        ("tokens", layers.LayerNormalization),
        ("down", layers.RMSNormalization),
    ],
)
def test_average_expansion_preserves_the_outputs_and_learns(
    norm, layer, tokens
):
    model = transformer(norm)
    before = snapshot(model, tokens)
    report = widen(model, layer, to=11)
    found = check_preserved(before, model)
    assert found.verdict == "exact", found
    assert model.get_layer("down").units == 11
    assert model.get_layer("first").epsilon == pytest.approx(0.1 * 8 / 11)
    assert "normalizes over all" in report.notes[0]
    widen(model, layer, to=12)  # Copies of copies, and means once more.
    assert check_preserved(before, model).verdict == "exact"
    read = array(model.get_layer("out").kernel)
    made = array(model.get_layer("down").kernel)
    model.fit(tokens, tokens, batch_size=8, verbose=0)
    read -= array(model.get_layer("out").kernel)
    made -= array(model.get_layer("down").kernel)
    assert (np.abs(read).max(axis=1) > 1e-4).all()
    assert (np.abs(made).max(axis=0) > 1e-4).all()


def test_the_grown_model_reloads_clones_and_replays(tokens, tmp_path):
    model = transformer()
    report = widen(model, "tokens", to=11)
    expected = array(model(tokens))
    model.save(tmp_path / "grown.keras")
    model.save_weights(tmp_path / "grown.weights.h5")
    reloaded = keras.saving.load_model(tmp_path / "grown.keras")
    again = transformer()
    assert replay(again, [report.edit]) == 1
    again.load_weights(tmp_path / "grown.weights.h5")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    for other in (reloaded, again, clone):
        np.testing.assert_allclose(array(other(tokens)), expected, atol=1e-5)


def test_the_slots_of_a_rescaled_scale_are_rescaled():
    model = transformer()
    scale = model.get_layer("last").gamma
    weight = array(scale)
    slots = _slots(model, scale)
    widen(model, "tokens", to=12)
    root = (8 / 12) ** 0.5
    new = array(scale)
    kept = [int(np.abs(new - w * root).argmin()) for w in weight]
    np.testing.assert_allclose(new[kept], weight * root, rtol=1e-5)
    first, second = _slots(model, scale)
    np.testing.assert_allclose(first[kept], slots[0] / root, rtol=1e-5)
    np.testing.assert_allclose(second[kept], slots[1] / root**2, rtol=1e-5)


def _slots(model, variable):
    name = variable.path.replace("/", "_")
    return [array(v) for v in model.optimizer.variables if name in v.name]


def test_a_stream_grows_inside_fit(tokens):
    model = transformer(dropout=0.1)
    optimizer = keras.optimizers.Adam(1e-2)
    model.compile(optimizer, model.loss, run_eagerly=EAGER)
    growing = Growing(
        [Widen("tokens", to=12)],
        {"1ep": [0]},
        calibration_data=tokens[:4],
        verbose=0,
    )
    history = model.fit(
        tokens, tokens, epochs=3, verbose=0, callbacks=[growing]
    )
    assert max(history.history["max_output_change"]) < 1e-4
    assert history.history["loss"][-1] < history.history["loss"][0]


def _post_norm():
    inputs = keras.Input((4, 5))
    x = layers.Dense(6, name="target")(inputs)
    for _ in range(2):
        x = layers.LayerNormalization()(layers.Add()([x, layers.Dense(6)(x)]))
    return keras.Model(inputs, layers.Dense(2)(x))


def _bent():
    inputs = keras.Input((4, 5))
    x = layers.Dense(6, activation="relu", name="target")(inputs)
    return keras.Model(inputs, layers.Dense(2)(layers.LayerNormalization()(x)))


def _two_axes():
    inputs = keras.Input((4, 5))
    x = layers.Dense(6, name="target")(inputs)
    x = layers.LayerNormalization(axis=[1, 2])(x)
    return keras.Model(inputs, layers.Dense(2)(x))


def _mixed():
    inputs = keras.Input((4, 5))
    x = layers.Dense(6, name="target")(inputs)
    y = layers.RMSNormalization()(x)
    x = layers.LayerNormalization()(x)
    return keras.Model(inputs, layers.Dense(2)(layers.Concatenate()([x, y])))


def _grouped():
    inputs = keras.Input((4, 5))
    x = layers.Dense(6, name="target")(inputs)
    x = layers.GroupNormalization(1)(x)
    return keras.Model(inputs, layers.Dense(2)(x))


def _plain_scale():
    inputs = keras.Input((4, 5))
    x = layers.Dense(6, name="target")(inputs)
    x = layers.LayerNormalization(scale=False)(x)
    return keras.Model(inputs, layers.Dense(2)(x))


def _half():
    inputs = keras.Input((4, 5))
    x = layers.Dense(6, name="target")(inputs)
    x = layers.Concatenate()([x, layers.Dense(3)(inputs)])
    return keras.Model(inputs, layers.Dense(2)(layers.LayerNormalization()(x)))


REFUSED = {
    "post_norm": (_post_norm, "not a sum of outputs of linear layers"),
    "bent": (_bent, "not a sum of outputs of linear layers"),
    "two_axes": (_two_axes, "several axes"),
    "mixed": (_mixed, "not a sum of outputs|not a layer or RMS|only some"),
    "grouped": (_grouped, "GroupNormalization '.*' is not a layer or RMS"),
    "plain_scale": (_plain_scale, "has no scale"),
    "half": (_half, "does not make each unit once"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_inexact_expansion_is_refused(name):
    build, reason = REFUSED[name]
    model = build()
    weights = model.get_weights()
    with pytest.raises(ValueError, match=reason):
        widen(model, "target", to=8)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
