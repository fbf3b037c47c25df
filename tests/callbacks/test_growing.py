"""`Growing` grows when it should, and what it grows trains on."""

import contextlib
import io
import json
import types

import keras
import numpy as np
import pytest
from callback_tools.growing import (
    BATCH,
    SAMPLES,
    STEPS,
    build,
    make_growing,
    outputs,
    state,
)

from keras_netopt.callbacks.compute_tracker import ComputeTracker
from keras_netopt.callbacks.growing import Growing
from keras_netopt.surgery.growing.actions import Deepen, Widen
from keras_netopt.surgery.growing.stop_without_improvement import (
    StopWithoutImprovement,
)
from keras_netopt.surgery.growing.triggers import Every
from keras_netopt.training import (
    NoEffectWarning,
    NotIntendedUseWarning,
    editing,
)

SMALL, LARGE = 566, 1094  # Parameters
SMALL_MACS = 20 * 16 + 16 * 12 + 24
LARGE_MACS = 20 * 32 + 32 * 12 + 24


class Recorder(keras.callbacks.Callback):
    """Copies sizes, and the slots before and after a growth."""

    def __init__(self):
        super().__init__()
        self.sizes, self.slots = [], {}

    def on_epoch_begin(self, epoch, logs=None):
        self.slots["begin", epoch] = self._slots()

    def on_epoch_end(self, epoch, logs=None):
        self.sizes.append((self.model.get_layer("h").units, logs["params"]))
        self.slots["end", epoch] = self._slots()

    def _slots(self):
        getattr(self.model, "jax_state_sync", lambda: None)()
        slots = self.model.optimizer.variables[2:]
        return [np.array(keras.ops.convert_to_numpy(v)) for v in slots]


@pytest.fixture(scope="module")
def grown(data, tmp_path_factory):
    """A model that grows once in four epochs, beside other callbacks."""
    folder = tmp_path_factory.mktemp("grown")
    run = types.SimpleNamespace(folder=folder, recorder=Recorder())
    run.growing, run.counter = make_growing(verbose=1), ComputeTracker()
    run.model = build(keras.optimizers.Adam(1e-2), compiled=True)
    with contextlib.redirect_stdout(io.StringIO()) as text:
        run.model.fit(
            *data,
            batch_size=BATCH,
            epochs=4,
            shuffle=False,
            verbose=0,
            validation_data=data,
            callbacks=[
                run.growing,
                run.counter,
                keras.callbacks.ModelCheckpoint(folder / "{epoch}.keras"),
                keras.callbacks.ReduceLROnPlateau("loss"),
                keras.callbacks.CSVLogger(folder / "log.csv"),
                keras.callbacks.TerminateOnNaN(),
                run.recorder,
            ],
        )
    run.text, run.history = text.getvalue(), run.model.history.history
    return run


def test_the_network_grows_once_and_training_continues(grown):
    history = grown.history
    assert history["params"] == [SMALL] * 2 + [LARGE] * 2
    assert history["growth_count"] == [0, 0, 1, 1]
    assert history["macs"] == [SMALL_MACS] * 2 + [LARGE_MACS] * 2
    assert history["loss"][2] <= 1.2 * history["loss"][1]
    assert all(value <= 1e-5 for value in history["max_output_change"])
    (edit,) = grown.growing.history
    assert (edit["epoch"], edit["step"]) == (2, 2 * STEPS)
    assert (edit["operation"], edit["layer"], edit["to"]) == (
        "widen",
        "h",
        32,
    )
    (report,) = grown.growing.reports
    assert report.output_difference.verdict == "exact"
    assert report.output_difference.is_random
    assert "Growing: widen h 16 -> 32" in grown.text
    assert "566 ->" in grown.text and "outputs changed by" in grown.text


def test_every_epoch_end_sees_one_model(grown):
    sizes = [(16, SMALL)] * 2 + [(32, LARGE)] * 2
    assert grown.recorder.sizes == sizes
    assert int(grown.model.optimizer.iterations) == 4 * STEPS
    spent = 3 * SAMPLES * 2 * (SMALL_MACS + LARGE_MACS)
    assert grown.growing.spent() == grown.counter.spent() == spent


def test_the_optimizers_slots_are_carried_over(grown):
    slots = grown.recorder.slots
    for old, new in zip(slots["end", 1], slots["begin", 2], strict=True):
        assert np.abs(old).max() > 0
        assert old.size <= new.size
        np.testing.assert_array_equal(new[new != 0], old[old != 0])


def test_the_validation_is_that_of_the_grown_model(grown, data):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    eager = float(loss(data[1], outputs(grown.model, data[0])))
    assert grown.history["val_loss"][-1] == pytest.approx(eager, abs=1e-5)
    grown.model.evaluate(*data, verbose=0, callbacks=[grown.growing])


def test_files_hold_the_size_of_their_epoch(grown, data):
    loaded = [
        keras.saving.load_model(grown.folder / f"{n}.keras") for n in (2, 4)
    ]
    assert [one.count_params() for one in loaded] == [SMALL, LARGE]
    mine, theirs = state(grown.model), state(loaded[1])
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(one, other)
    head, *rows = (grown.folder / "log.csv").read_text().splitlines()
    assert {"params", "macs", "growth_count", "max_output_change"} <= set(
        head.split(",")
    )
    assert len(rows) == 4


def test_new_units_train(grown):
    """At the growth their outgoing weights and their slots are zero."""
    outgoing = grown.model.get_layer("b").get_weights()[0][1::2]
    assert (np.abs(outgoing).max(axis=1) > 0).all()
    for epoch, moved in (("begin", 2), False), (("end", 3), True):
        slot = grown.recorder.slots[epoch][0][:, 1::2]
        assert (np.abs(slot).max(axis=0) > 0).tolist() == [moved] * 16


def test_copies_of_units_diverge(data):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((20,)),
            keras.layers.Dense(16, activation="tanh", name="h"),
            keras.layers.Dense(2),
        ]
    )
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    growing = make_growing(trigger={"1ep": [0]}, new_units="net2net")
    model.fit(*data, batch_size=64, epochs=99, verbose=0, callbacks=[growing])
    kernel = model.get_layer("h").get_weights()[0]
    kernel /= np.linalg.norm(kernel, axis=0)
    twins = (kernel[:, 0::2] * kernel[:, 1::2]).sum(axis=0)
    assert twins.mean() < 0.999


def test_points_inside_an_epoch_act_before_that_step(fit):
    growing = make_growing(trigger={3: [0]})
    history = fit([growing], epochs=2).history.history
    assert history["params"] == [SMALL, LARGE]
    (edit,) = growing.history
    assert (edit["epoch"], edit["step"]) == (1, 3)


@pytest.fixture(scope="module")
def several(data):
    """Three actions that are due together, and one later."""
    actions = [
        Widen("h", add=2),
        Deepen("b"),
        Widen("b", add=4),
        Widen("h", add=2),
    ]
    growing = make_growing(
        actions, {"1ep": [0, 1, 2], "2ep": [3]}, verbose=1, end=1.0
    )
    with pytest.raises(ValueError, match="pass the callback to `fit` first"):
        growing.report()
    name, calls = "reset_compiled_functions", []
    reset, model = getattr(editing, name), build()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(editing, name, lambda m: (calls.append(m), reset(m)))
        with contextlib.redirect_stdout(io.StringIO()) as text:
            model.fit(
                *data,
                batch_size=64,
                epochs=3,
                verbose=0,
                callbacks=[growing],
            )
    compilations = sum(one is model for one in calls)
    return model, growing, text.getvalue(), compilations


def test_actions_that_are_due_together_share_one_compilation(several):
    model, growing, text, compilations = several
    assert compilations == 2
    assert model.get_layer("b").units == 16
    assert [edit["seed"] for edit in growing.history] == [0, 1, 2, 3]
    assert model.history.history["growth_count"] == [0, 3, 4]
    assert "Growing: widen h 16 -> 18; deepen 1 new layer after b" in text


def test_the_report_combines_all_growths(several):
    _, growing, *_ = several
    report, reports = growing.report(), growing.reports
    assert report.operation == "widen, deepen"
    widths = [(r.layer, r.before, r.after) for r in report.widths]
    assert widths[:2] == [("h", 16, 20), ("b", 12, 16)]
    assert report.inserted == reports[1].inserted
    assert report.before == reports[0].before
    assert report.after == reports[-1].after
    assert report.output_difference.max_abs == max(
        reports[2].output_difference.max_abs,
        reports[3].output_difference.max_abs,
    )
    assert json.loads(json.dumps(report.to_dict()))["after"] == {
        "params": report.after.params,
        "macs": report.after.macs,
        "is_lower_bound": False,
    }


def test_grown_models_predict_alike_after_a_reload(several, data, tmp_path):
    model = several[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        outputs(loaded, data[0]), outputs(model, data[0]), atol=1e-6
    )


NOW = {"1step": [0]}  # The first of two


@pytest.mark.all_cases
@pytest.mark.parametrize(
    ("new_units", "verdict"),
    [
        ("zero", "exact"),
        ("paired", "exact"),
        ("net2net", "exact"),
        ("gradmax", "exact"),
        ("random", "changed"),
    ],
)
def test_new_units_preserve_the_outputs_unless_random(
    fit, data, new_units, verdict
):
    growing = make_growing(
        trigger=NOW,
        new_units=new_units,
        calibration_data=data,
        on_violation="raise",
    )
    fit([growing], epochs=1)
    (report,) = growing.reports
    assert report.output_difference.verdict == verdict
    assert not report.output_difference.is_random


@pytest.mark.parametrize("on_violation", ["warn", "raise"])
def test_a_change_of_the_outputs_warns_or_raises(fit, on_violation):
    growing = make_growing(
        trigger=NOW, tolerance=1e-12, on_violation=on_violation
    )
    growing.new_units = "net2net"
    message = "growth has changed the outputs by more than"
    raises = on_violation == "raise"
    with (
        pytest.raises(ValueError, match=message)
        if raises
        else pytest.warns(NotIntendedUseWarning, match=message)
    ):
        fit([growing], epochs=1)


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_half_precision_rounds_more_and_is_no_violation(fit, policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = build()
    finally:
        keras.config.set_dtype_policy("float32")
    growing = make_growing(
        trigger=NOW, new_units="net2net", on_violation="raise"
    )
    fit([growing], model, epochs=1)
    (report,) = growing.reports
    assert report.output_difference.tolerance >= 1e-2
    assert 1e-5 < report.output_difference.max_abs


def test_stages_grow_in_turn_until_there_is_no_improvement(fit):
    actions = [Widen("h", add=1), Widen("b", add=1)]
    until = StopWithoutImprovement(10.0, "3ep", monitor="loss")
    growing = make_growing(actions, Every("2ep"), until=until)
    fit([growing], epochs=12, batch_size=SAMPLES)
    layers = [edit["layer"] for edit in growing.history]
    assert layers == ["h", "b"]
    assert growing.closed == (actions[0], actions[1])


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


# torch compiles slowly and joins no steps.
MODES = (
    [{}]
    if keras.backend.backend() == "torch"
    else [
        {"steps_per_execution": 2},
        # XLA compiles each size for a second.
        pytest.param({"jit_compile": True}, marks=pytest.mark.slow),
    ]
)


@pytest.mark.parametrize("arguments", MODES)
def test_growth_with_compiled_and_several_steps_per_execution(fit, arguments):
    growing = make_growing(trigger={6: [0]})
    model = build(compiled=True, **arguments)
    fit([growing], model, epochs=2, batch_size=16)
    assert model.get_layer("h").units == 32
    assert growing.history[0]["step"] == 6


def test_an_action_without_a_trigger_grows_in_a_short_fit(fit):
    growing = Growing([Widen("h", factor=2)], verbose=0)
    assert fit([growing], epochs=3).get_layer("h").units == 32
    assert [edit["epoch"] for edit in growing.history] == [1]


class Subclassed(keras.Model):
    """Keras keeps no dtype of its inputs, so none are drawn for it."""

    def __init__(self):
        super().__init__()
        self.h = keras.layers.Dense(4, name="h")
        self.out = keras.layers.Dense(1)

    def call(self, x):
        return self.out(self.h(x))


def test_the_change_of_the_outputs_is_not_zero_where_it_is_unknown():
    model = Subclassed()
    model.compile("sgd", "mse", run_eagerly=True)
    x, y = np.ones((8, 3), "float32"), np.zeros((8, 1), "float32")
    growing = Growing([Widen("h", factor=2)], trigger={"1ep": [0]}, verbose=0)
    logs = model.fit(x, y, 4, epochs=2, verbose=0, callbacks=[growing])
    assert model.h.units == 8
    assert np.isnan(logs.history["max_output_change"][-1])
