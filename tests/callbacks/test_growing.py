"""`Growing` grows when it should, and what it grows trains on."""

import json

import keras
import numpy as np
import pytest
from callback_tools.growing import SAMPLES, STEPS, build, make_growing, state

from keras_netopt.callbacks.compute_tracker import ComputeTracker
from keras_netopt.surgery.growing.actions import Deepen, Widen
from keras_netopt.surgery.growing.stop_without_improvement import (
    StopWithoutImprovement,
)
from keras_netopt.surgery.growing.triggers import Every
from keras_netopt.training import NoEffectWarning, NotIntendedUseWarning


def test_the_network_grows_once_and_training_continues(fit):
    growing = make_growing()
    history = fit([growing], build(compiled=True)).history.history
    small, large = 566, 1094
    assert history["params"] == [small] * 3 + [large] * 3
    assert history["growth_count"] == [0, 0, 0, 1, 1, 1]
    assert history["macs"][0] == 20 * 16 + 16 * 12 + 24
    assert history["macs"][-1] == 20 * 32 + 32 * 12 + 24
    assert history["loss"][3] <= 1.2 * history["loss"][2]
    assert all(value <= 1e-5 for value in history["max_output_change"])
    (edit,) = growing.history
    assert (edit["epoch"], edit["step"]) == (3, 3 * STEPS)
    assert (edit["operation"], edit["layer"], edit["to"]) == (
        "widen",
        "h",
        32,
    )
    (report,) = growing.reports
    assert report.output_difference.verdict == "exact"
    assert report.output_difference.is_random


def test_every_epoch_end_sees_one_model_whatever_the_order(fit):
    seen = []

    class Recorder(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((self.model.get_layer("h").units, logs["params"]))

    model = fit([make_growing(), Recorder()], epochs=4)
    assert seen == [(16, 566)] * 2 + [(32, 1094)] * 2
    assert int(model.optimizer.iterations) == 4 * STEPS


def test_new_units_train_and_the_optimizer_is_that_of_a_reload(fit, tmp_path):
    model = build(compiled=True)
    fit([make_growing()], model, epochs=2)
    start = model.get_layer("h").get_weights()[0]
    fit([], model, epochs=1)
    moved = np.abs(model.get_layer("h").get_weights()[0] - start)
    assert (moved.max(axis=0) > 0).all()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    found = [tuple(v.shape) for v in model.optimizer.variables]
    assert found == [tuple(v.shape) for v in loaded.optimizer.variables]
    for one, other in zip(state(model), state(loaded), strict=True):
        np.testing.assert_array_equal(one, other)


def test_copies_of_units_diverge(data):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((20,)),
            keras.layers.Dense(16, activation="tanh", name="h"),
            keras.layers.Dense(16, activation="tanh"),
            keras.layers.Dense(2),
        ]
    )
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    growing = make_growing(trigger={"1ep": [0]}, new_units="net2net")
    model.fit(*data, batch_size=64, epochs=61, verbose=0, callbacks=[growing])
    kernel = model.get_layer("h").get_weights()[0]
    kernel /= np.linalg.norm(kernel, axis=0)
    twins = (kernel[:, 0::2] * kernel[:, 1::2]).sum(axis=0)
    assert twins.mean() < 0.999


def test_points_inside_an_epoch_act_before_that_step(fit):
    growing = make_growing(trigger={6: [0]})
    history = fit([growing], build(compiled=True), epochs=4).history.history
    assert history["params"] == [566, 1094, 1094, 1094]
    (edit,) = growing.history
    assert (edit["epoch"], edit["step"]) == (1, 6)


def test_actions_that_are_due_together_share_one_compilation(fit, monkeypatch):
    from keras_netopt.training import editing

    calls, name = [], "reset_compiled_functions"
    reset = getattr(editing, name)
    monkeypatch.setattr(editing, name, lambda m: (calls.append(m), reset(m)))
    actions = [Widen("h", factor=2), Deepen("b"), Widen("b", add=4)]
    growing = make_growing(actions, {0.5: [0, 1, 2]})
    model = fit([growing], build(compiled=True))
    assert sum(one is model for one in calls) == 1
    assert len(growing.history) == 3
    assert model.get_layer("b").units == 16
    seeds = [edit["seed"] for edit in growing.history]
    assert seeds == [0, 1, 2]


def test_the_optimizers_slots_are_carried_over(fit):
    model = build()
    seen = []

    class Recorder(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            sync = getattr(self.model, "jax_state_sync", lambda: None)
            sync()
            slots = self.model.optimizer.variables[2:]
            seen.append(
                [np.abs(keras.ops.convert_to_numpy(v)).max() for v in slots]
            )

    fit([make_growing(), Recorder()], model, epochs=4)
    assert min(seen[1]) > 0
    # New slots would be far smaller after one epoch.
    ratios = [b / a for a, b in zip(seen[1], seen[2], strict=True)]
    assert 0.05 < min(ratios)


@pytest.mark.parametrize("new_units", ["zero", "paired", "net2net", "gradmax"])
def test_all_new_units_preserve_the_outputs(fit, data, new_units):
    growing = make_growing(new_units=new_units, calibration_data=data)
    fit([growing], epochs=2)
    (report,) = growing.reports
    assert report.output_difference.verdict == "exact"
    assert not report.output_difference.is_random


def test_a_change_of_the_outputs_warns_or_raises(fit):
    growing = make_growing([Widen("h", factor=2)], tolerance=1e-12)
    message = "growth has changed the outputs by more than"
    growing.new_units = "net2net"
    with pytest.warns(NotIntendedUseWarning, match=message):
        fit([growing], epochs=2)
    growing = make_growing(tolerance=1e-12, on_violation="raise")
    growing.new_units = "net2net"
    with pytest.raises(ValueError, match=message):
        fit([growing], epochs=2)


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_half_precision_rounds_more_and_is_no_violation(fit, policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = build()
    finally:
        keras.config.set_dtype_policy("float32")
    growing = make_growing(new_units="net2net", on_violation="raise")
    fit([growing], model, epochs=2)
    (report,) = growing.reports
    assert report.output_difference.tolerance >= 1e-2
    assert 1e-5 < report.output_difference.max_abs


def test_random_units_change_the_outputs_without_a_warning(fit):
    growing = make_growing(new_units="random", on_violation="raise")
    fit([growing], epochs=2)
    assert growing.reports[0].output_difference.verdict == "changed"


def test_stages_grow_in_turn_until_there_is_no_improvement(fit):
    actions = [Widen("h", add=1), Widen("b", add=1)]
    until = StopWithoutImprovement(10.0, "3ep", monitor="val_loss")
    growing = make_growing(actions, Every("2ep"), until=until)
    fit([growing], epochs=12, validation_split=0.25)
    layers = [edit["layer"] for edit in growing.history]
    assert layers == ["h", "b"]
    assert growing.closed == (actions[0], actions[1])


def test_a_line_is_printed_at_each_growth(fit, capsys):
    fit(
        [
            make_growing(
                [Widen("h", factor=2), Deepen("b")], {0.5: [0, 1]}, verbose=1
            )
        ]
    )
    text = capsys.readouterr().out
    assert "Growing: widen h 16 -> 32; deepen 1 new layer after b" in text
    assert "566 ->" in text and "outputs changed by" in text


def test_the_report_combines_all_growths(fit):
    actions = [Widen("h", add=2), Deepen("b"), Widen("h", add=2)]
    growing = make_growing(actions, {"1ep": [0, 1], "2ep": [2]})
    with pytest.raises(ValueError, match="pass the callback to `fit` first"):
        growing.report()
    fit([growing])
    report = growing.report()
    assert report.operation == "widen, deepen"
    assert [(r.layer, r.before, r.after) for r in report.widths] == [
        ("h", 16, 20)
    ]
    assert report.inserted == growing.reports[1].inserted
    assert report.before == growing.reports[0].before
    assert report.after == growing.reports[-1].after
    assert report.output_difference.max_abs == max(
        growing.reports[1].output_difference.max_abs,
        growing.reports[2].output_difference.max_abs,
    )
    assert json.loads(json.dumps(report.to_dict()))["after"] == {
        "params": report.after.params,
        "macs": report.after.macs,
    }


def test_a_fit_without_growth_warns_and_has_no_report(fit):
    """The remedy differs from that of a callback that `fit` never got."""
    growing = make_growing(trigger="plateau")
    with pytest.warns(NoEffectWarning, match="no action was applied") as told:
        fit([growing], epochs=2, validation_split=0.25)
    (warning,) = [w for w in told if w.category is NoEffectWarning]
    assert "Plateau(monitor='val_loss'" in str(warning.message)
    assert "trigger={0.3: [0]}" in str(warning.message)
    with pytest.raises(ValueError, match="no action was applied in this"):
        growing.report()


def test_a_second_fit_after_all_growth_does_not_warn(fit):
    growing = make_growing()
    model = fit([growing], epochs=2)
    fit([growing], model, epochs=1)
    assert len(growing.history) == 1


def test_training_macs_add_up_over_every_size(fit):
    growing, counter = make_growing(trigger={"1ep": [0]}), ComputeTracker()
    fit([growing, counter], epochs=3)
    small = 20 * 16 + 16 * 12 + 24
    large = 20 * 32 + 32 * 12 + 24
    spent = 3 * SAMPLES * (small + 2 * large)
    assert growing.spent() == counter.spent() == spent


def test_grown_models_predict_alike_after_a_reload(fit, data, tmp_path):
    model = fit(
        [make_growing([Widen("h", factor=2), Deepen("b")], {0.5: [0, 1]})]
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(data[0], verbose=0),
        model.predict(data[0], verbose=0),
        atol=1e-6,
    )


def test_other_callbacks_work_across_a_growth(fit, tmp_path):
    callbacks = [
        make_growing(),
        keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"),
        keras.callbacks.ReduceLROnPlateau("loss"),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.TerminateOnNaN(),
    ]
    fit(callbacks, epochs=4)
    sizes = [
        keras.saving.load_model(tmp_path / f"{n}.keras").count_params()
        for n in range(1, 5)
    ]
    assert sizes == [566, 566, 1094, 1094]
    head, *rows = (tmp_path / "log.csv").read_text().splitlines()
    assert {"params", "macs", "growth_count", "max_output_change"} <= set(
        head.split(",")
    )
    assert len(rows) == 4


def test_evaluation_after_growth_is_that_of_the_grown_model(fit, data):
    growing = make_growing()
    model = build(compiled=True)
    fit([growing], model, epochs=4, validation_data=data)
    values = model.history.history["val_loss"]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    outputs = keras.ops.convert_to_numpy(model(data[0]))
    eager = float(loss(data[1], outputs))
    assert values[-1] == pytest.approx(eager, abs=1e-5)
    model.evaluate(*data, verbose=0, callbacks=[growing])


@pytest.mark.parametrize(
    "arguments", [{"jit_compile": True}, {"steps_per_execution": 2}]
)
def test_growth_with_compiled_and_several_steps_per_execution(
    fit, backend, arguments
):
    if backend == "torch":
        pytest.skip("torch compiles slowly and joins no steps")
    growing = make_growing(trigger={6: [0]})
    model = build(compiled=True, **arguments)
    fit([growing], model, epochs=3)
    assert model.get_layer("h").units == 32
    assert growing.history[0]["step"] == 6
