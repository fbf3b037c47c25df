import keras
import numpy as np
import pytest
from surgery.conftest import EAGER, build, data

from keras_netopt import surgery


def outputs(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def value(variable):
    return np.array(keras.ops.convert_to_numpy(variable))


def zero_readers(model, cut):
    """Zeroes the weights that read some units, and nothing else."""
    for name, axis, units in cut:
        kernel = model.get_layer(name).kernel
        array = value(kernel)
        np.moveaxis(array, axis, 0)[units] = 0
        kernel.assign(array)


def test_units_without_outgoing_weights_are_removed_exactly(trained, images):
    model, x = trained(), images[0]
    before = outputs(model, x)
    zero_readers(model, [("outer", 2, [1, 4]), ("out", 0, [0, 6])])
    zeroed = outputs(model, x)
    assert np.abs(zeroed - before).max() > 0.01
    surgery.remove(model, {"inner": [1, 4], "hidden": [6, 0]})
    np.testing.assert_allclose(outputs(model, x), zeroed, atol=1e-5)
    assert model.get_layer("inner").filters == 3
    assert model.get_layer("hidden").units == 5


def test_a_residual_stream_is_cut_as_one(trained, images):
    model, x = trained(), images[0]
    cut = [("inner", 2, [2]), ("hidden", 0, [2])]
    zero_readers(model, cut)
    zeroed = outputs(model, x)
    report = surgery.remove(model, {"outer": [2]})
    np.testing.assert_allclose(outputs(model, x), zeroed, atol=1e-5)
    assert [(w.layer, w.before, w.after, w.coupled) for w in report.widths] == [
        ("stem", 6, 5, "to 'outer' by Add 'sum'"),
        ("outer", 6, 5, ""),
    ]
    assert "Coupled: stem to 'outer' by Add 'sum'" in str(report)


@pytest.mark.parametrize(
    ("wrapper", "inner"),
    [
        (keras.layers.TimeDistributed, keras.layers.Dense(6)),
        (keras.layers.TimeDistributed, keras.layers.Conv1D(6, 2)),
        (keras.layers.SpectralNormalization, keras.layers.Dense(6)),
    ],
)
def test_a_wrapper_stands_for_the_layer_inside_it(wrapper, inner):
    inner = type(inner).from_config(inner.get_config())
    inputs = keras.Input((3, 4, 5))
    x = wrapper(inner, name="wrap")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    path = f"wrap/{inner.name}"
    edits = [
        surgery.remove(model, {"wrap": [0, 1]}),
        surgery.widen(model, "wrap", add=3),
    ]
    rows = [(w.layer, w.before, w.after, w.coupled) for w in edits[0].widths]
    rows += [(w.layer, w.before, w.after, w.coupled) for w in edits[1].widths]
    assert rows == [(path, 6, 4, ""), (path, 4, 7, "")]
    assert outputs(model, np.ones((2, 3, 4, 5), "float32")).shape[-1] == 2


@keras.saving.register_keras_serializable("test_remove")
class OwnStep(keras.Model):
    """Only `train_step` is its own; built as `OwnStep(inputs, outputs)`."""

    steps = 0

    def train_step(self, *args):
        OwnStep.steps += 1
        return super().train_step(*args)


def test_a_model_with_its_own_step_is_edited_trained_and_reloaded(tmp_path):
    inputs = keras.Input((4,))
    x = keras.layers.Dense(6, activation="relu", name="hidden")(inputs)
    model = OwnStep(inputs, keras.layers.Dense(2)(x))
    model.compile("sgd", "mse", run_eagerly=EAGER)
    x, y = np.ones((4, 4), "float32"), np.zeros((4, 2))
    surgery.remove(model, {"hidden": [0, 3]})
    surgery.widen(model, "hidden", add=1)
    before = OwnStep.steps
    model.fit(x, y, verbose=0)
    assert OwnStep.steps > before
    model.save(tmp_path / "own.keras")
    again = keras.saving.load_model(tmp_path / "own.keras")
    assert type(again) is OwnStep and again.get_layer("hidden").units == 5
    np.testing.assert_array_equal(outputs(again, x), outputs(model, x))


def test_objects_stay_and_shrink(trained):
    model = trained()
    layer = model.get_layer("inner")
    kernel, variables = layer.kernel, list(model.weights)
    report = surgery.remove(model, {"inner": [0]})
    assert model.get_layer("inner") is layer and layer.kernel is kernel
    assert [id(v) for v in model.weights] == [id(v) for v in variables]
    assert kernel.shape == (3, 3, 6, 4)
    assert report.before.params - report.after.params == (9 * 6 + 1) + 9 * 6
    assert report.after.params == model.count_params()


def slots_of(model, variable):
    """Both slots of Adam, and the number of steps."""
    name = variable.path.replace("/", "_")
    variables = model.optimizer.variables
    found = [value(v) for v in variables if name in v.name]
    return [*found, int(model.optimizer.iterations)]


@pytest.fixture(scope="module")
def continued():
    """A traced model that lost units and trains on; and what it was."""
    model, (x, y) = build(), data(16)
    model.fit(x, y, verbose=0)
    kernel = model.get_layer("inner").kernel
    old = slots_of(model, kernel)
    surgery.remove(model, {"inner": [0, 3], "stem": [1], "hidden": [2]})
    new = [*slots_of(model, kernel), value(kernel)]
    model.fit(x, y, verbose=0)
    return model, old, new


def test_training_goes_on_with_the_old_slots(continued):
    model, (*old, steps), (*new, same, kernel) = continued
    assert len(old) == 2 and steps == same
    for before, after in zip(old, new, strict=True):
        kept = np.delete(before, [0, 3], axis=-1)
        np.testing.assert_array_equal(after, np.delete(kept, 1, axis=2))
    assert int(model.optimizer.iterations) == steps + 1
    assert (value(model.get_layer("inner").kernel) != kernel).all()


def test_files_and_clones_of_the_smaller_model_are_equal(
    continued, images, tmp_path
):
    model, x = continued[0], images[0]
    expected = outputs(model, x)
    model.save(tmp_path / "small.keras")
    loaded = keras.saving.load_model(tmp_path / "small.keras")
    np.testing.assert_array_equal(outputs(loaded, x), expected)
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(outputs(copy, x), expected)
    slots = [v.shape for v in model.optimizer.variables]
    assert [v.shape for v in loaded.optimizer.variables] == slots


def test_a_dry_run_changes_nothing_and_has_the_same_report(trained):
    model = trained()
    before, filters = model.get_weights(), model.get_layer("inner").filters
    plan = surgery.remove(model, {"inner": [0], "stem": [2]}, dry_run=True)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert model.get_layer("inner").filters == filters
    done = surgery.remove(model, {"inner": [0], "stem": [2]})
    assert plan.dry_run and not done.dry_run
    assert (plan.widths, plan.after) == (done.widths, done.after)


def test_a_failure_half_way_leaves_the_model_unchanged(images, monkeypatch):
    model, (x, y) = build(optimizer=keras.optimizers.SGD(0.1, 0.9)), images
    model.fit(x[:16], y[:16], verbose=0)
    expected = outputs(model, x)
    slots = [value(v) for v in model.optimizer.variables]

    def fail(*arguments):
        raise RuntimeError("no room")

    layer = model.get_layer("hidden")
    monkeypatch.setattr(type(layer), "compute_output_spec", fail, raising=False)
    with pytest.raises(RuntimeError, match="no room"):
        surgery.remove(model, {"inner": [0]})
    monkeypatch.undo()
    np.testing.assert_array_equal(outputs(model, x), expected)
    assert model.get_layer("inner").filters == 5
    for old, new in zip(slots, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(old, value(new))
    before = value(layer.kernel)
    model.fit(x[:16], y[:16], verbose=0)
    assert (value(layer.kernel) != before).any()


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ({}, r"at least one unit to remove. Received: units=\{\}$"),
        ({"inner": []}, "at least one unit to remove"),
        ({"inner": [5]}, r"units 0 to 4 of layer 'inner'. Received: \[5\]$"),
        ({"inner": [-1]}, r"Received: \[-1\]$"),
        ({"iner": [0]}, "the nearest names are 'inner'"),
        ({"out": [0]}, "^Units of layer 'out' cannot be removed: reaches"),
        ({"inner": [0, 1, 2, 3, 4]}, "'inner' would lose all of its 5 units"),
        ({"norm": [0]}, "'norm' makes no units of its own"),
    ],
)
def test_units_that_cannot_be_removed_raise_and_nothing_changes(
    residual, units, message
):
    model = residual()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        surgery.remove(model, units)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_normalized_units_are_removed_on_request_only():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(6, name="hidden"),
            keras.layers.LayerNormalization(name="norm"),
            keras.layers.Dense(2),
        ]
    )
    with pytest.raises(ValueError, match="Pass allow_inexact=True to accept"):
        surgery.remove(model, {"hidden": [0]})
    surgery.remove(model, {"hidden": [0]}, allow_inexact=True)
    assert model.get_layer("norm").gamma.shape == (5,)


def test_the_report_is_a_table(residual):
    text = str(surgery.remove(residual(), {"inner": [0]}, dry_run=True))
    assert "remove (dry run)" in text and "inner" in text
    assert "params" in text and "macs" in text


def test_a_layer_cut_while_frozen_trains_after_unfreezing(trained, images):
    model = trained()
    layer = model.get_layer("inner")
    layer.trainable = False
    surgery.remove(model, {"inner": [0]})
    assert not layer.kernel.trainable
    layer.trainable = True
    model.compile("sgd", model.loss, run_eagerly=EAGER)
    before = value(layer.kernel)
    model.fit(*images, batch_size=48, verbose=0)
    assert (value(layer.kernel) != before).any()
