import json

import keras
import numpy as np
import pytest

from keras_netopt.callbacks.cost_ledger import CostLedger
from keras_netopt.callbacks.growing import Growing
from keras_netopt.surgery.growing.actions import Deepen, Widen
from keras_netopt.surgery.growing.stop import NoGain
from keras_netopt.surgery.growing.triggers import Every, FitRisk, Plateau
from keras_netopt.training import NoEffectWarning, NotIntendedUseWarning

SAMPLES, BATCH = 128, 32
STEPS = SAMPLES // BATCH


def build(optimizer=None, dropout=0.0, *, compiled=False, **arguments):
    """A small net; not compiled where that tests nothing but takes long."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((20,)),
            keras.layers.Dense(16, activation="relu", name="h"),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(12, activation="relu", name="b"),
            keras.layers.Dense(2, name="out"),
        ]
    )
    if keras.backend.backend() == "tensorflow":
        eager = {"jit_compile": False, "run_eagerly": not compiled}
        arguments = {**eager, **arguments}
    model.compile(
        optimizer or keras.optimizers.Adam(1e-2),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **arguments,
    )
    return model


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(SAMPLES, 20)).astype("float32")
    return x, (x[:, 0] * x[:, 1] > 0).astype("int32")


@pytest.fixture
def fit(data):
    def run(callbacks, model=None, epochs=6, **arguments):
        model = model or build()
        model.fit(
            *data,
            batch_size=BATCH,
            epochs=epochs,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
            **arguments,
        )
        return model

    return run


def grow(actions=None, when=None, **arguments):
    actions = actions or [Widen("h", factor=2)]
    settings = {"verbose": 0, **arguments}
    return Growing(actions, when or {0.5: [0]}, **settings)


def state(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


class Crash(keras.callbacks.Callback):
    def __init__(self, epoch, batch=None):
        super().__init__()
        self.epoch, self.batch, self._now = epoch, batch, -1

    def on_epoch_begin(self, epoch, logs=None):
        self._now = epoch
        if epoch == self.epoch and self.batch is None:
            raise RuntimeError("crash")

    def on_train_batch_begin(self, batch, logs=None):
        if (self._now, batch) == (self.epoch, self.batch):
            raise RuntimeError("crash")


def test_the_network_grows_once_and_training_goes_on(fit):
    growing = grow()
    history = fit([growing], build(compiled=True)).history.history
    small, large = 566, 1094
    assert history["params"] == [small] * 3 + [large] * 3
    assert history["growth"] == [0, 0, 0, 1, 1, 1]
    assert history["macs"][0] == 20 * 16 + 16 * 12 + 24
    assert history["macs"][-1] == 20 * 32 + 32 * 12 + 24
    assert history["loss"][3] <= 1.2 * history["loss"][2]
    assert all(value <= 1e-5 for value in history["preserved"])
    (event,) = growing.history
    assert (event["epoch"], event["step"]) == (3, 3 * STEPS)
    assert (event["verb"], event["layer"], event["to"]) == ("widen", "h", 32)
    (report,) = growing.reports
    assert report.preserved.verdict == "exact"
    assert report.preserved.is_random


def test_every_epoch_end_sees_one_model_whatever_the_order(fit):
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((self.model.get_layer("h").units, logs["params"]))

    model = fit([grow(), Watch()], epochs=4)
    assert seen == [(16, 566)] * 2 + [(32, 1094)] * 2
    assert int(model.optimizer.iterations) == 4 * STEPS


def test_new_units_train_and_the_optimizer_is_that_of_a_reload(fit, tmp_path):
    model = build(compiled=True)
    fit([grow()], model, epochs=2)
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


def test_copies_of_units_part(data):
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
    growing = grow(when={"1ep": [0]}, new_units="net2net")
    model.fit(*data, batch_size=64, epochs=61, verbose=0, callbacks=[growing])
    kernel = model.get_layer("h").get_weights()[0]
    kernel /= np.linalg.norm(kernel, axis=0)
    twins = (kernel[:, 0::2] * kernel[:, 1::2]).sum(axis=0)
    assert twins.mean() < 0.999


def test_points_inside_an_epoch_act_before_that_step(fit):
    growing = grow(when={6: [0]})
    history = fit([growing], build(compiled=True), epochs=4).history.history
    assert history["params"] == [566, 1094, 1094, 1094]
    (event,) = growing.history
    assert (event["epoch"], event["step"]) == (1, 6)


def test_actions_that_are_due_together_share_one_compilation(fit, monkeypatch):
    from keras_netopt.training import editing

    calls = []
    refresh = editing.refresh
    monkeypatch.setattr(
        editing, "refresh", lambda m: (calls.append(m), refresh(m))
    )
    actions = [Widen("h", factor=2), Deepen("b"), Widen("b", add=4)]
    growing = grow(actions, {0.5: [0, 1, 2]})
    model = fit([growing], build(compiled=True))
    assert sum(one is model for one in calls) == 1
    assert len(growing.history) == 3
    assert model.get_layer("b").units == 16
    seeds = [event["seed"] for event in growing.history]
    assert seeds == [0, 1, 2]


def test_the_optimizers_slots_are_carried_over(fit):
    model = build()
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            sync = getattr(self.model, "jax_state_sync", lambda: None)
            sync()
            slots = self.model.optimizer.variables[2:]
            seen.append(
                [np.abs(keras.ops.convert_to_numpy(v)).max() for v in slots]
            )

    fit([grow(), Watch()], model, epochs=4)
    assert min(seen[1]) > 0
    # Slots that started anew would be far smaller after one epoch.
    ratios = [b / a for a, b in zip(seen[1], seen[2], strict=True)]
    assert 0.05 < min(ratios)


@pytest.mark.parametrize(
    ("order", "crash"),
    [
        ("first", (2, None)),
        ("last", (2, 1)),
        ("last", (4, None)),
        ("first", (4, 2)),
    ],
)
def test_a_resumed_fit_ends_bit_equal(fit, tmp_path, order, crash):
    def callbacks(*more):
        actions = [Widen("h", factor=2), Widen("b", to=20), Widen("h", add=1)]
        growing = grow(actions, {"2ep": [0], 10: [2], "4ep": [1]})
        backup = keras.callbacks.BackupAndRestore(
            tmp_path / "backup", double_checkpoint=True
        )
        pair = [growing, backup] if order == "first" else [backup, growing]
        return [*pair, *more]

    alone = callbacks()[0 if order == "first" else 1]
    expected = state(fit([alone], build(compiled=order == "last")))
    with pytest.raises(RuntimeError, match="crash"):
        fit(callbacks(Crash(*crash)), build(compiled=order == "last"))
    used = callbacks()
    model = fit(used, build(compiled=order == "last"))
    growing = next(c for c in used if isinstance(c, Growing))
    assert [e["to"] for e in growing.history] == [32, 33, 20]
    for one, other in zip(state(model), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_resumed_plateau_decides_as_the_first_one(fit, tmp_path):
    def callbacks(*more):
        trigger = Plateau("loss", min_delta=10.0, patience=2, cooldown=0)
        growing = grow([Widen("h", add=4)] * 2, trigger, final=0.0)
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        return [backup, growing, *more]

    whole = grow([Widen("h", add=4)] * 2, callbacks()[1].when, final=0.0)
    expected = state(fit([whole], epochs=7))
    with pytest.raises(RuntimeError, match="crash"):
        fit(callbacks(Crash(3)), epochs=7)
    used = callbacks()
    model = fit(used, epochs=7)
    assert [e["epoch"] for e in used[1].history] == [3, 5]
    for one, other in zip(state(model), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_resume_with_other_actions_is_refused(fit, tmp_path):
    backup = tmp_path / "backup"
    with pytest.raises(RuntimeError, match="crash"):
        fit([grow(), keras.callbacks.BackupAndRestore(backup), Crash(4)])
    other = grow([Widen("h", factor=3)])
    with pytest.raises(ValueError, match="other settings: actions="):
        fit([other, keras.callbacks.BackupAndRestore(backup)])


def test_the_best_epoch_before_a_growth_comes_back(fit, data):
    kept = {}

    class Best(keras.callbacks.EarlyStopping):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, {"score": -abs(epoch - 1.0)})
            if epoch == 1:
                kept["y"] = self.model.predict(data[0], verbose=0)

    best = Best("score", mode="max", patience=3, restore_best_weights=True)
    actions = [Widen("h", factor=2), Deepen("b")]
    model = fit([best, grow(actions, {0.5: [0, 1]})], epochs=10)
    assert model.get_layer("h").units == 16  # Nothing grew so early.
    best = Best("score", mode="max", patience=3, restore_best_weights=True)
    model = fit([best, grow(actions, {"2ep": [0, 1]})], epochs=10)
    assert model.get_layer("h").units == 32
    np.testing.assert_allclose(
        model.predict(data[0], verbose=0), kept["y"], atol=1e-5
    )


@pytest.mark.parametrize("new_units", ["zero", "paired", "net2net", "gradmax"])
def test_all_new_units_preserve_what_the_model_computes(fit, data, new_units):
    growing = grow(new_units=new_units, data=data)
    fit([growing], epochs=2)
    (report,) = growing.reports
    assert report.preserved.verdict == "exact"
    assert not report.preserved.is_random


def test_a_change_of_the_outputs_is_told_or_raised(fit):
    growing = grow([Widen("h", factor=2)], preserve_tolerance=1e-12)
    message = "growth has changed the outputs by more than"
    growing.new_units = "net2net"
    with pytest.warns(NotIntendedUseWarning, match=message):
        fit([growing], epochs=2)
    growing = grow(preserve_tolerance=1e-12, on_violation="raise")
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
    growing = grow(new_units="net2net", on_violation="raise")
    fit([growing], model, epochs=2)
    (report,) = growing.reports
    assert report.preserved.tolerance >= 1e-2
    assert 1e-5 < report.preserved.max_abs


def test_random_units_are_meant_to_change_the_outputs(fit):
    growing = grow(new_units="random", on_violation="raise")
    fit([growing], epochs=2)
    assert growing.reports[0].preserved.verdict == "changed"


@pytest.mark.parametrize(
    ("limit", "size"), [("max_params", 900), ("max_macs", 900)]
)
def test_an_action_beyond_the_limit_is_left_out_and_told(fit, limit, size):
    actions = [Widen("h", factor=4), Widen("h", add=8), Widen("h", factor=4)]
    growing = grow(actions, {"1ep": [0, 1], "2ep": [2]}, **{limit: size})
    with pytest.warns(NoEffectWarning, match="exceed 900") as told:
        model = fit([growing], epochs=5)
    assert sum(w.category is NoEffectWarning for w in told) == 2
    assert model.get_layer("h").units == 24
    assert [number for number, _ in growing.skipped] == [0, 2]
    assert len(growing.closed) == 2


def test_plateau_falls_back_to_the_loss_of_training(fit):
    growing = grow(when=Plateau(min_delta=10.0, patience=1))
    with pytest.warns(NotIntendedUseWarning, match="`val_loss` not in") as told:
        model = fit([growing])
    assert sum(w.category is NotIntendedUseWarning for w in told) == 1
    assert model.get_layer("h").units == 32
    assert growing.history[0]["epoch"] == 2


def test_a_missing_metric_is_told_once(fit):
    growing = grow(when=FitRisk())
    with pytest.warns(NoEffectWarning, match="`accuracy`, `val_accuracy`"):
        model = fit([growing])
    assert model.get_layer("h").units == 16


def test_a_falling_learning_rate_is_told(fit):
    decay = keras.optimizers.schedules.CosineDecay(1e-2, 6 * STEPS)
    model = build(keras.optimizers.SGD(decay))
    with pytest.warns(NotIntendedUseWarning, match="learning rate falls"):
        fit([grow()], model)
    late = keras.optimizers.schedules.PiecewiseConstantDecay(
        [4 * STEPS], [1e-2, 1e-3]
    )
    fit([grow()], build(keras.optimizers.SGD(late)))


def test_many_growths_are_told(fit, backend):
    growing = grow([Widen("h", add=1)] * 5, Every("1ep"), final=0.0)
    if backend == "torch":
        fit([growing])
        return
    with pytest.warns(NotIntendedUseWarning, match="5 growths in 6 epochs"):
        fit([growing])


def test_a_fit_that_begins_later_passes_over_earlier_growth(fit):
    with pytest.warns(NoEffectWarning, match="begins at step 16: earlier"):
        model = fit([grow()], initial_epoch=4)
    assert model.get_layer("h").units == 16


def test_the_same_object_grows_a_model_once(fit):
    growing = grow([Widen("h", to=32)])
    model = fit([growing])
    fit([growing], model)
    assert model.get_layer("h").units == 32
    other = fit([growing])
    assert other is not model and other.get_layer("h").units == 32
    assert len(growing.history) == 1


def test_stages_take_turns_until_there_is_no_gain(fit):
    actions = [Widen("h", add=1), Widen("b", add=1)]
    until = NoGain(10.0, "3ep", monitor="val_loss")
    growing = grow(actions, Every("2ep"), until=until)
    fit([growing], epochs=12, validation_split=0.25)
    layers = [event["layer"] for event in growing.history]
    assert layers == ["h", "b"]
    assert growing.closed == (actions[0], actions[1])


@pytest.mark.parametrize(
    ("actions", "when", "text"),
    [
        (Widen("hh", add=1), {0.5: [0]}, "no layer 'hh'.*nearest names"),
        (Widen("out", add=1), {0.5: [0]}, "reaches the output"),
        (Widen("h", to=16), {0.5: [0]}, "must be above 16"),
        (Widen("h", to=8), {0.5: [0]}, "must be above 16"),
        (Deepen("hh"), {0.5: [0]}, "no layer 'hh'"),
        (Widen("h", add=1), {0.9: [0]}, "no point behind step 19"),
        (Widen("h", add=1), {"7ep": [0]}, "lies behind the end"),
        (Widen("h", add=1), {40: [0]}, "lies behind the end"),
        (Widen("h", add=1), Every("6ep"), "must come to a growth"),
    ],
)
def test_what_cannot_be_done_is_found_before_the_first_step(
    fit, actions, when, text
):
    model = build()
    weights = model.get_weights()
    with pytest.raises(ValueError, match=text):
        fit([grow(actions, when)], model)
    assert int(model.optimizer.iterations) == 0
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("optimizer", "arguments", "refused"),
    [
        ("Ftrl", {}, True),
        ("Adafactor", {}, True),
        ("Adafactor", {"new_units": "net2net"}, False),
    ],
)
def test_optimizers_that_cannot_be_carried_over(
    fit, optimizer, arguments, refused
):
    model = build(getattr(keras.optimizers, optimizer)())
    if not refused:
        fit([grow(**arguments)], model, epochs=2)
        return
    with pytest.raises(ValueError, match=optimizer):
        fit([grow(**arguments)], model, epochs=2)
    assert model.get_layer("h").units == 16


def test_the_second_action_is_tried_on_what_the_first_has_made(fit):
    actions = [Widen("h", to=32), Widen("h", to=24)]
    with pytest.raises(ValueError, match="must be above 32"):
        fit([grow(actions, {0.3: [0], 0.6: [1]})])


def test_trying_uses_up_no_random_numbers(fit):
    def losses(callbacks):
        model = build(dropout=0.3)
        return fit(callbacks, model, epochs=3).history.history["loss"]

    growing = grow([Widen("h", add=1)], Every("1ep", start="1ep"), max_macs=1)
    with pytest.warns(NoEffectWarning):
        tried = losses([growing])
    assert tried == losses([])


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"actions": []}, ValueError, "`actions` must hold at least one"),
        ({"actions": "h"}, TypeError, "`actions` must be a list"),
        ({"actions": [3]}, TypeError, "`actions` must be a list"),
        ({"when": "soon"}, ValueError, "`when` must be"),
        ({"when": {0.5: [1]}}, ValueError, "must name actions 0 to 0"),
        ({"new_units": "even"}, ValueError, "`new_units` must be one of"),
        ({"new_units": "gradmax"}, ValueError, "`data` must hold"),
        ({"until": 3}, TypeError, "`until` must be a"),
        ({"max_params": 0}, ValueError, "`max_params` must be"),
        ({"max_macs": 1.5}, TypeError, "`max_macs` must be"),
        ({"final": 1.0}, ValueError, "`final` must be a float"),
        ({"preserve_tolerance": 0}, ValueError, "`preserve_tolerance` must"),
        ({"on_violation": "stop"}, ValueError, "`on_violation` must be one"),
        ({"verbose": "x"}, TypeError, "`verbose` must be an integer"),
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments, error, text):
    whole = {"actions": [Widen("h", add=1)], **arguments}
    with pytest.raises(error, match=text):
        Growing(**whole)


def test_gradmax_needs_targets(fit, data):
    growing = grow(new_units="gradmax", data=data[0])
    with pytest.raises(ValueError, match="inputs without targets"):
        fit([growing])


def test_a_line_is_printed_at_each_growth(fit, capsys):
    fit([grow([Widen("h", factor=2), Deepen("b")], {0.5: [0, 1]}, verbose=1)])
    text = capsys.readouterr().out
    assert "Growing: widen h 16 -> 32; deepen 1 new layer behind b" in text
    assert "566 ->" in text and "outputs moved" in text


def test_config_round_trip():
    growing = Growing(
        [Widen("h", factor=2), Deepen("b", copies=2)],
        {0.3: [0], "4ep": [1]},
        until=NoGain(0.1),
        max_params=1000,
    )
    config = json.loads(json.dumps(growing.get_config()))
    again = Growing.from_config(config)
    assert again.get_config() == growing.get_config()
    assert again.actions == growing.actions
    assert Growing(Widen("h", add=1)).get_config()["when"] == "plateau"


def test_the_ledger_adds_up_every_size(fit):
    growing, ledger = grow(when={"1ep": [0]}), CostLedger()
    fit([growing, ledger], epochs=3)
    small = 20 * 16 + 16 * 12 + 24
    large = 20 * 32 + 32 * 12 + 24
    spent = 3 * SAMPLES * (small + 2 * large)
    assert growing.spent() == ledger.spent() == spent


def test_grown_models_predict_alike_after_a_reload(fit, data, tmp_path):
    model = fit([grow([Widen("h", factor=2), Deepen("b")], {0.5: [0, 1]})])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(data[0], verbose=0),
        model.predict(data[0], verbose=0),
        atol=1e-6,
    )


def test_other_callbacks_work_across_a_growth(fit, tmp_path):
    callbacks = [
        grow(),
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
    assert {"params", "macs", "growth", "preserved"} <= set(head.split(","))
    assert len(rows) == 4


def test_evaluation_after_growth_is_that_of_the_grown_model(fit, data):
    growing = grow()
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
def test_growth_with_compiled_and_joined_steps(fit, backend, arguments):
    if backend == "torch":
        pytest.skip("torch compiles slowly and joins no steps")
    growing = grow(when={6: [0]})
    model = build(compiled=True, **arguments)
    fit([growing], model, epochs=3)
    assert model.get_layer("h").units == 32
    assert growing.history[0]["step"] == 6
