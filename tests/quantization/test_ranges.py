"""Trained activation ranges of a model."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_netopt import callbacks, sparsity, surgery
from keras_netopt.quantization import (
    ActivationRanges,
    load_ranges,
    remove_ranges,
)
from keras_netopt.quantization.activation_range import ActivationRange
from keras_netopt.training import CheckpointState

X = np.random.default_rng(0).normal(size=(48, 4)).astype("float32")
Y = np.zeros((48, 2), "float32")


def build(*parts, optimizer="sgd", rate=0.0):
    inputs = keras.Input((4,))
    x = inputs
    for part in parts or (layers.Dense(3, "relu"), layers.Dense(2)):
        x = part(x)
    return compiled(keras.Model(inputs, x), optimizer, rate)


def compiled(model, optimizer="sgd", rate=0.0):
    optimizer = keras.optimizers.get(optimizer)
    optimizer.learning_rate = rate
    model.compile(optimizer, "mse")
    optimizer.build(model.trainable_variables)
    return model


def fit(model, x=X, y=Y, epochs=1, **options):
    return model.fit(
        x, y, batch_size=16, epochs=epochs, shuffle=False, verbose=0, **options
    )


def fake_quantize(x, low, high):
    scale = np.float32(high - low) / 255
    zero = np.round(-low / scale)
    return (np.clip(np.round(x / scale) + zero, 0, 255) - zero) * scale


@pytest.fixture(scope="module")
def trained():
    """A model with ranges, and its weights; tests must not train it."""
    keras.utils.set_random_seed(0)
    model = build()
    count = len(model.weights), len(model.variables)
    model.predict(X, verbose=0)  # A function that knows no ranges.
    ranges = ActivationRanges.attach(model)
    fit(model)
    return model, ranges, count


def test_the_range_is_a_moving_minimum_and_maximum_that_holds_0(trained):
    wanted = None
    for batch in np.split(X, 3):
        seen = np.array([min(batch.min(), 0), max(batch.max(), 0)])
        wanted = seen if wanted is None else 0.99 * wanted + 0.01 * seen
    found = trained[1].values()
    np.testing.assert_allclose(found[0], wanted, rtol=1e-5)
    assert found.shape == (3, 2)
    assert found[1, 0] == 0  # After relu.


def test_every_activation_is_rounded(trained):
    model, ranges, _ = trained
    first, second = (layer.get_weights() for layer in model.layers[1:])
    low, hidden, last = ranges.values()
    x = fake_quantize(X, *low)
    x = fake_quantize(np.maximum(x @ first[0] + first[1], 0), *hidden)
    x = fake_quantize(x @ second[0] + second[1], *last)
    step = (last[1] - last[0]) / 255
    # A value between two steps may round to either.
    np.testing.assert_allclose(model.predict(X, verbose=0), x, atol=2 * step)
    assert len(np.unique(model.predict(X, verbose=0))) <= 256


def test_evaluate_and_predict_leave_ranges_and_weights_alone(trained):
    model, ranges, (weights, variables) = trained
    before = ranges.values()
    model.evaluate(X * 9, Y, verbose=0)
    model.predict(X * 9, verbose=0)
    model(X * 9)
    np.testing.assert_array_equal(before, ranges.values())
    assert len(model.weights) == weights
    assert len(model.variables) == variables + 3


def test_detach_gives_the_plain_model_back():
    model = build()
    before = model.predict(X, verbose=0)
    ranges = ActivationRanges.attach(model)
    assert ActivationRanges.attach(model) is ranges
    # A range that no batch has set rounds nothing.
    np.testing.assert_array_equal(before, model.predict(X, verbose=0))
    assert not ranges.are_set
    fit(model)
    assert ranges.are_set
    assert not np.array_equal(before, model.predict(X, verbose=0))
    remove_ranges(model)
    np.testing.assert_array_equal(before, model.predict(X, verbose=0))
    assert "call" not in vars(model)
    assert len(model.variables) == len(model.weights)
    with pytest.raises(ValueError, match="must have activation ranges"):
        remove_ranges(model)


def test_ranges_attached_within_fit_move_from_the_next_batch_on():
    model = build(optimizer="adam", rate=0.01)
    seen = []

    class Attach(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                ActivationRanges.attach(self.model)

        def on_epoch_end(self, epoch, logs=None):
            found = ActivationRanges.of(self.model)
            seen.append(None if found is None else found.values())

    fit(model, epochs=3, callbacks=[Attach()])
    assert seen[0] is None
    assert (seen[1] != seen[2]).any()
    np.testing.assert_array_equal(seen[2], ActivationRanges.of(model).values())
    assert int(model.optimizer.iterations) == 9


def test_zeros_and_overflows_set_no_range():
    one = ActivationRange("range")

    def see(x, **options):
        x = ops.convert_to_tensor(np.array(x, "float32"))
        return ops.convert_to_numpy(one.fake_quantize(x, **options))

    see([1.0, np.inf], training=True)
    assert tuple(one.value()) == (0, -1)  # Not set.
    see([0.0, 0.0], training=True)
    assert tuple(one.value()) == (0, 0)
    np.testing.assert_array_equal(see([0.0, 0.0], training=False), [0, 0])
    with one.frozen():
        np.testing.assert_array_equal(see([0.0], training=False), [0])
    see([0.5, 2.0], training=True)
    assert tuple(one.value()) == (0, 2)
    see([np.nan, 3.0], training=True)
    assert tuple(one.value()) == (0, 2)
    with one.suspended():
        np.testing.assert_array_equal(see([9.5], training=True), [9.5])
    np.testing.assert_array_equal(see([9.5], training=False), [2])


def test_each_call_of_a_shared_layer_has_its_own_range():
    dense = layers.Dense(4, kernel_initializer="ones")
    model = build(dense, layers.LeakyReLU(), dense)
    ranges = ActivationRanges.attach(model)
    fit(model, y=np.zeros((48, 4)))
    by_call = {
        place.number: one
        for place, one in zip(ranges.places, ranges.values(), strict=True)
        if place.operation is dense
    }
    assert sorted(by_call) == [0, 1]
    assert by_call[1][1] > 2 * by_call[0][1]


def test_nested_and_sequential_models():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, "relu")])
    model = compiled(
        keras.Sequential([keras.Input((4,)), inner, layers.Dense(2)])
    )
    ranges = ActivationRanges.attach(model)
    fit(model)
    assert {place.path for place in ranges.places} >= {
        f"{inner.name}/{inner.layers[0].name}"
    }
    assert ranges.are_set
    # The layers of the nested model round wherever they are called.
    assert len(np.unique(inner.predict(X, verbose=0))) <= 256
    before = ranges.values()
    inner.predict(9 * X, verbose=0)
    np.testing.assert_array_equal(before, ranges.values())


def test_several_inputs_outputs_and_function_calls():
    inputs = {name: keras.Input((4,), name=name) for name in ("a", "b")}
    total = ops.relu(inputs["a"] + 2.0 * inputs["b"])
    outputs = {"sum": total, "last": layers.Dense(2)(total)}
    model = keras.Model(inputs, outputs)
    model.compile("sgd", {"sum": "mse", "last": "mse"})
    ranges = ActivationRanges.attach(model)
    fit(model, {"a": X, "b": X}, {"sum": X, "last": Y})
    assert ranges.are_set
    found = model.predict({"a": X, "b": X}, verbose=0)
    assert set(found) == {"sum", "last"}
    assert len(np.unique(found["sum"])) <= 256


def test_masks_pass_through():
    inputs = keras.Input((4,), dtype="int32")
    x = layers.Embedding(5, 3, mask_zero=True)(inputs)
    model = compiled(keras.Model(inputs, layers.GlobalAveragePooling1D()(x)))
    x = np.array([[1, 2, 0, 0], [3, 0, 0, 0]] * 8)
    before = model.predict(x, verbose=0)
    ActivationRanges.attach(model)
    fit(model, x, np.zeros((16, 3)))
    after = model.predict(x, verbose=0)
    np.testing.assert_allclose(before, after, atol=1e-3)


def test_mixed_precision():
    with_dtype = dict(dtype="mixed_bfloat16")
    inputs = keras.Input((4,))
    x = layers.Dense(3, "relu", **with_dtype)(inputs)
    model = keras.Model(inputs, layers.Dense(2, **with_dtype)(x))
    compiled(model, rate=0.01)
    ranges = ActivationRanges.attach(model)
    fit(model)
    assert ranges.values().dtype == "float32"
    np.testing.assert_allclose(
        ranges.values()[0], [X[:16].min(), X[:16].max()], rtol=0.02
    )
    assert keras.backend.standardize_dtype(model(X).dtype) == "bfloat16"


def test_ranges_are_saved_with_the_weights_and_load_as_a_plain_model(tmp_path):
    model = build()
    plain = model.predict(X, verbose=0)
    ranges = ActivationRanges.attach(model)
    fit(model)
    rounded = model.predict(X, verbose=0)
    model.save(tmp_path / "m.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(plain, again.predict(X, verbose=0))
    load_ranges(again, tmp_path / "m.keras")
    np.testing.assert_array_equal(
        ranges.values(), ActivationRanges.of(again).values()
    )
    np.testing.assert_array_equal(rounded, again.predict(X, verbose=0))
    other = build(layers.Dense(2))
    with pytest.raises(ValueError, match="of the structure"):
        load_ranges(other, tmp_path / "m.keras")
    assert ActivationRanges.of(other) is None
    again.save_weights(tmp_path / "with.weights.h5")
    load_ranges(again, tmp_path / "with.weights.h5")
    build().save_weights(tmp_path / "without.weights.h5")
    with pytest.raises(ValueError, match="holds none"):
        load_ranges(again, tmp_path / "without.weights.h5")
    with pytest.raises(ValueError, match="must end in"):
        load_ranges(again, tmp_path / "m.tflite")


def test_models_without_a_graph_are_refused():
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    class OfFunctional(keras.Model):
        def call(self, x):
            return 2 * x

    inputs = keras.Input((4,))
    for model in (
        Subclassed(),
        OfFunctional(inputs, layers.Dense(2)(inputs)),
        keras.Sequential([layers.Dense(2)]),
    ):
        with pytest.raises(ValueError, match="calibration_data=x"):
            ActivationRanges.attach(model)
        assert CheckpointState.find(model) is None


def test_overridden_calls_are_refused():
    model = build()
    layer = model.layers[1]
    object.__setattr__(layer, "call", lambda x: 2 * x)
    with pytest.raises(ValueError, match=f"'{layer.name}'"):
        ActivationRanges.attach(model)
    object.__delattr__(layer, "call")
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4)])
    ActivationRanges.attach(inner)
    outer = build(inner, layers.Dense(2))
    with pytest.raises(ValueError, match=f"'{inner.name}'"):
        ActivationRanges.attach(outer)
    assert len(outer.variables) - len(outer.weights) == 2


def test_pruning_in_the_same_fit_and_without_its_masks():
    model = build(layers.Dense(8), layers.Dense(2), rate=0.01)
    ranges = ActivationRanges.attach(model)
    fit(model, epochs=2, callbacks=[callbacks.Pruning(0.5)])
    zeros = [float(np.mean(v == 0)) for v in kernels(model)]
    assert min(zeros) >= 0.25 and ranges.are_set
    sparsity.remove_masks(model)
    assert ActivationRanges.of(model) is ranges


def kernels(model):
    return [ops.convert_to_numpy(v) for v in model.weights if v.ndim == 2]


def test_edits_of_the_model_keep_ranges_and_add_those_of_new_layers():
    model = build(layers.Dense(32, "relu", name="hidden"), layers.Dense(2))
    ranges = ActivationRanges.attach(model)
    fit(model)
    before = ranges.values()
    surgery.prune_channels(model, 0.5, include="hidden")
    ranges.update()
    np.testing.assert_array_equal(before, ranges.values())
    surgery.deepen(model, "hidden")
    ranges.update()
    assert len(ranges.places) > 3 and not ranges.are_set
    fit(model, epochs=2)
    assert ranges.are_set
    np.testing.assert_allclose(ranges.values()[0], before[0], rtol=0.1)
    assert len(model.variables) - len(model.weights) == len(ranges.places)
