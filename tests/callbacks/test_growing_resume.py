"""`Growing` in a fit that is resumed, repeated, or begins later."""

import json

import keras
import numpy as np
import pytest
from callback_tools.growing import (
    SAMPLES,
    build,
    make_growing,
    outputs,
    state,
)

from keras_netopt.callbacks.growing import Growing
from keras_netopt.surgery.growing.actions import Deepen, Widen
from keras_netopt.surgery.growing.stop_without_improvement import (
    StopWithoutImprovement,
)
from keras_netopt.surgery.growing.triggers import Plateau
from keras_netopt.training import NoEffectWarning


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


WHOLE: dict[bool, list] = {}  # State after a `fit` that nothing interrupts


@pytest.mark.parametrize(
    ("order", "crash", "compiled"),
    [
        ("first", (2, None), False),
        ("last", (3, 1), False),
        pytest.param("last", (2, 1), False, marks=pytest.mark.slow),
        pytest.param("first", (3, 1), True, marks=pytest.mark.slow),
        pytest.param("last", (3, None), True, marks=pytest.mark.slow),
    ],
)
def test_a_resumed_fit_ends_bit_equal(fit, tmp_path, order, crash, compiled):
    def run(*more):
        actions = [Widen("h", factor=2), Widen("b", to=20), Widen("h", add=1)]
        growing = make_growing(actions, {"2ep": [0], 5: [2], "3ep": [1]})
        backup = keras.callbacks.BackupAndRestore(
            tmp_path / "backup", double_checkpoint=True
        )
        pair = [growing, backup] if order == "first" else [backup, growing]
        model = build(compiled=compiled)
        return fit([*pair, *more], model, epochs=5), growing

    if compiled not in WHOLE:
        WHOLE[compiled] = state(run()[0])
    with pytest.raises(RuntimeError, match="crash"):
        run(Crash(*crash))
    model, growing = run()
    assert [e["to"] for e in growing.history] == [32, 33, 20]
    for one, other in zip(state(model), WHOLE[compiled], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_resumed_plateau_decides_as_the_first_one(fit, tmp_path):
    def callbacks(*more):
        trigger = Plateau("loss", min_delta=10.0, patience=2, cooldown=0)
        growing = make_growing([Widen("h", add=4)] * 2, trigger, end=1.0)
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        return [backup, growing, *more]

    whole = make_growing(
        [Widen("h", add=4)] * 2, callbacks()[1].trigger, end=1.0
    )
    expected = state(fit([whole], epochs=7, batch_size=SAMPLES))
    with pytest.raises(RuntimeError, match="crash"):
        fit(callbacks(Crash(3)), epochs=7, batch_size=SAMPLES)
    used = callbacks()
    model = fit(used, epochs=7, batch_size=SAMPLES)
    assert [e["epoch"] for e in used[1].history] == [3, 5]
    for one, other in zip(state(model), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_resume_with_other_actions_is_refused(fit, tmp_path):
    backup = tmp_path / "backup"
    with pytest.raises(RuntimeError, match="crash"):
        fit(
            [
                make_growing(),
                keras.callbacks.BackupAndRestore(backup),
                Crash(1),
            ],
            epochs=2,
        )
    other = make_growing([Widen("h", factor=3)])
    with pytest.raises(ValueError, match="other settings: actions="):
        fit([other, keras.callbacks.BackupAndRestore(backup)], epochs=2)


def test_the_best_epoch_before_a_growth_is_restored(fit, data):
    kept = {}

    class Best(keras.callbacks.EarlyStopping):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, {"score": -epoch})
            if epoch == 0:
                kept["y"] = outputs(self.model, data[0])

    best = Best("score", mode="max", patience=2, restore_best_weights=True)
    actions = [Widen("h", factor=2), Deepen("b")]
    with pytest.warns(NoEffectWarning, match="no action was applied"):
        model = fit([best, make_growing(actions, {0.5: [0, 1]})])
    assert model.get_layer("h").units == 16  # Nothing grew so early.
    best = Best("score", mode="max", patience=2, restore_best_weights=True)
    model = fit([best, make_growing(actions, {"1ep": [0, 1]})])
    assert model.get_layer("h").units == 32
    np.testing.assert_allclose(outputs(model, data[0]), kept["y"], atol=1e-5)


def test_a_fit_that_begins_later_skips_earlier_growth(fit):
    with pytest.warns(NoEffectWarning, match="begins at step 4; earlier"):
        model = fit([make_growing()], initial_epoch=2, epochs=3)
    assert model.get_layer("h").units == 16


def test_the_same_object_grows_a_model_once(fit):
    """A further fit without growth does not warn."""
    growing = make_growing([Widen("h", to=32)])
    model = fit([growing], epochs=2)
    fit([growing], model, epochs=1)
    assert model.get_layer("h").units == 32
    other = fit([growing], epochs=2)
    assert other is not model and other.get_layer("h").units == 32
    assert len(growing.history) == 1


@pytest.mark.no_backend
def test_config_round_trip():
    growing = Growing(
        [Widen("h", factor=2), Deepen("b", copies=2)],
        {0.3: [0], "4ep": [1]},
        until=StopWithoutImprovement(0.1),
        max_params=1000,
    )
    config = json.loads(json.dumps(growing.get_config()))
    again = Growing.from_config(config)
    assert again.get_config() == growing.get_config()
    assert again.actions == growing.actions
    assert Growing(Widen("h", add=1)).get_config()["trigger"] is None
