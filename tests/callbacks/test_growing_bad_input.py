"""Warnings and errors of `Growing`."""

import warnings

import keras
import numpy as np
import pytest
from callback_tools.growing import STEPS, build, make_growing

from keras_netopt.callbacks.growing import Growing
from keras_netopt.surgery.growing.actions import Deepen, Widen
from keras_netopt.surgery.growing.triggers import (
    Every,
    OverfittingRisk,
    Plateau,
)
from keras_netopt.training import NoEffectWarning, NotIntendedUseWarning


@pytest.mark.parametrize(
    ("limit", "size"), [("max_params", 900), ("max_macs", 900)]
)
def test_an_action_beyond_the_limit_is_skipped_with_a_warning(fit, limit, size):
    actions = [Widen("h", factor=4), Widen("h", add=8), Widen("h", factor=4)]
    growing = make_growing(
        actions, {"1ep": [0, 1], "2ep": [2]}, **{limit: size}
    )
    with pytest.warns(NoEffectWarning, match="exceed 900") as caught:
        model = fit([growing], epochs=3)
    assert sum(w.category is NoEffectWarning for w in caught) == 2
    assert model.get_layer("h").units == 24
    assert [number for number, _ in growing.skipped] == [0, 2]
    assert len(growing.closed) == 2


def test_plateau_falls_back_to_the_loss_of_training(fit):
    growing = make_growing(trigger=Plateau(min_delta=10.0, patience=1))
    with pytest.warns(
        NotIntendedUseWarning, match="`val_loss` is not in"
    ) as caught:
        model = fit([growing])
    assert sum(w.category is NotIntendedUseWarning for w in caught) == 1
    assert model.get_layer("h").units == 32
    assert growing.history[0]["epoch"] == 2


def test_a_missing_metric_warns_once(fit):
    growing = make_growing(trigger=OverfittingRisk())
    with pytest.warns(NoEffectWarning, match="`accuracy`, `val_accuracy`"):
        model = fit([growing])
    assert model.get_layer("h").units == 16


def test_a_decaying_learning_rate_warns(fit):
    decay = keras.optimizers.schedules.CosineDecay(1e-2, 6 * STEPS)
    model = build(keras.optimizers.SGD(decay))
    with pytest.warns(NotIntendedUseWarning, match="learning rate decays"):
        fit([make_growing()], model)
    late = keras.optimizers.schedules.PiecewiseConstantDecay(
        [4 * STEPS], [1e-2, 1e-3]
    )
    fit([make_growing()], build(keras.optimizers.SGD(late)))


def test_many_growths_warn_where_each_compiles_the_step(fit, backend):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    growing = make_growing([Widen("h", add=1)] * 5, Every("1ep"), end=1.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit([growing, Stop()])
    ours = [
        str(w.message) for w in caught if w.category is NotIntendedUseWarning
    ]
    assert len(ours) == (backend != "torch")
    assert all("5 growths in 6 epochs" in text for text in ours)


@pytest.mark.parametrize(
    ("actions", "trigger", "text"),
    [
        (Widen("hh", add=1), {0.5: [0]}, "no layer 'hh'.*nearest names"),
        (Widen("out", add=1), {0.5: [0]}, "reaches the output"),
        (Widen("h", to=16), {0.5: [0]}, "must be above 16"),
        (Widen("h", to=8), {0.5: [0]}, "must be above 16"),
        (Deepen("hh"), {0.5: [0]}, "no layer 'hh'"),
        (Widen("h", add=1), {0.9: [0]}, "no point after step 9"),
        (Widen("h", add=1), {"7ep": [0]}, "lies after the end"),
        (Widen("h", add=1), {40: [0]}, "lies after the end"),
        (Widen("h", add=1), Every("6ep"), "must give a growth"),
    ],
)
def test_invalid_actions_are_found_before_the_first_step(
    fit, actions, trigger, text
):
    model = build()
    weights = model.get_weights()
    with pytest.raises(ValueError, match=text):
        fit([make_growing(actions, trigger)], model)
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
        fit([make_growing(**arguments)], model, epochs=2)
        return
    with pytest.raises(ValueError, match=optimizer):
        fit([make_growing(**arguments)], model, epochs=2)
    assert model.get_layer("h").units == 16


def test_the_second_action_is_checked_on_the_result_of_the_first(fit):
    actions = [Widen("h", to=32), Widen("h", to=24)]
    with pytest.raises(ValueError, match="must be above 32"):
        fit([make_growing(actions, {0.3: [0], 0.6: [1]})])


def test_a_dry_run_uses_no_random_numbers(fit):
    def losses(callbacks):
        model = build(dropout=0.3)
        return fit(callbacks, model, epochs=3).history.history["loss"]

    growing = make_growing(
        [Widen("h", add=1)], Every("1ep", begin="1ep"), max_macs=1
    )
    with pytest.warns(NoEffectWarning):
        tried = losses([growing])
    assert tried == losses([])


@pytest.mark.no_backend
@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"actions": []}, ValueError, "`actions` must hold at least one"),
        ({"actions": "h"}, TypeError, "`actions` must be a list"),
        ({"actions": [3]}, TypeError, "`actions` must be a list"),
        ({"trigger": "soon"}, ValueError, "`trigger` must be"),
        ({"trigger": {0.5: [1]}}, ValueError, "indices into `actions`, 0 to 0"),
        ({"new_units": "even"}, ValueError, "`new_units` must be one of"),
        ({"new_units": "gradmax"}, ValueError, "`calibration_data` must hold"),
        ({"until": 3}, TypeError, "`until` must be a"),
        ({"max_params": 0}, ValueError, "`max_params` must be"),
        ({"max_macs": 1.5}, TypeError, "`max_macs` must be"),
        ({"end": 1.5}, ValueError, "`end` must be a float"),
        ({"tolerance": 0}, ValueError, "`tolerance` must"),
        ({"on_violation": "stop"}, ValueError, "`on_violation` must be one"),
        ({"verbose": "x"}, TypeError, "`verbose` must be an integer"),
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments, error, text):
    whole = {"actions": [Widen("h", add=1)], **arguments}
    with pytest.raises(error, match=text):
        Growing(**whole)


def test_gradmax_needs_targets(fit, data):
    growing = make_growing(new_units="gradmax", calibration_data=data[0])
    with pytest.raises(ValueError, match="inputs without targets"):
        fit([growing])
