"""`Pruning` says what has no effect and refuses what cannot work."""

import keras
import numpy as np
import pytest
from callback_tools.pruning import fit, size, zeros

from keras_netopt.callbacks import Pruning
from keras_netopt.schedules import Constant, Linear, Polynomial
from keras_netopt.training import NoEffectWarning


@pytest.mark.parametrize(
    "arguments",
    [
        {"score": "wanda", "calibration_data": np.zeros((4, 5), "float32")},
        {"score": lambda variable: np.zeros(1)},
        {"score": lambda weight, target: weight},
    ],
)
def test_a_score_that_does_not_work_fails_before_the_first_step(
    make_mlp, toy_data, arguments
):
    model = make_mlp()
    before = model.get_weights()
    with pytest.raises((TypeError, ValueError)):
        fit(model, toy_data, Pruning(0.5, **arguments))

    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_that_stops_early_is_completed_with_a_warning(
    masked_mlp, toy_data
):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    model = masked_mlp()
    with pytest.warns(NoEffectWarning) as warned:
        fit(model, toy_data, Pruning(0.8), Stop())

    assert zeros(model) == round(0.8 * size(model))
    caught = [w for w in warned if w.category is NoEffectWarning]
    assert len(caught) == 1
    assert str(caught[0].message).startswith(
        "Pruning: training ended at step 8, before the end of the schedule at "
        "step 12: sparsity "
    )


def test_a_sparsity_that_is_not_reached_warns(masked_mlp, toy_data):
    with pytest.warns(
        NoEffectWarning, match="0.5455 was reached instead of 0.9"
    ):
        fit(masked_mlp(), toy_data, Pruning(0.9, min_kept=40))


def test_nothing_selected_warns(toy_data):
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.BatchNormalization(momentum=0.9)]
    )
    model.compile("sgd", "mse")
    with pytest.warns(
        NoEffectWarning, match="no weight was selected"
    ) as caught:
        fit(model, (toy_data[0], toy_data[0]), Pruning(0.8))

    assert len([w for w in caught if w.category is NoEffectWarning]) == 1


def test_diverged_weights_leave_masks_and_training_alone(masked_mlp, toy_data):
    class Break(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                kernel = self.model.get_layer("hidden").kernel
                kernel.assign(np.full(kernel.shape, np.nan))

    with pytest.warns(NoEffectWarning, match="weights are not finite"):
        fit(masked_mlp(), toy_data, Pruning(0.8, frequency=1), Break())


@pytest.mark.no_backend
@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (
            {"sparsity": 1.2},
            ValueError,
            "Argument `sparsity` must be a float in [0, 1). "
            "Received: sparsity=1.2",
        ),
        (
            {"sparsity": -0.1},
            ValueError,
            "Argument `sparsity` must be a float in [0, 1). "
            "Received: sparsity=-0.1",
        ),
        (
            {"sparsity": True},
            TypeError,
            "Argument `sparsity` must be a float in [0, 1). "
            "Received: sparsity=True",
        ),
        (
            {"sparsity": None},
            ValueError,
            "Argument `sparsity` must be a float in [0, 1) with pattern "
            "unstructured. Received: sparsity=None",
        ),
        (
            {"sparsity": 0.9, "pattern": "2:4"},
            ValueError,
            "Argument `sparsity` must be left out with pattern 2:4, which "
            "fixes it at 0.5. Received: sparsity=0.9",
        ),
        (
            {"sparsity": 0.9, "frequency": 0},
            ValueError,
            "Argument `frequency` must be at least 1. Received: frequency=0",
        ),
        (
            {"sparsity": 0.9, "min_size": -1},
            ValueError,
            "Argument `min_size` must be an integer of at least 0. "
            "Received: min_size=-1",
        ),
        (
            {"sparsity": 0.9, "score": "wanda"},
            ValueError,
            "Argument `calibration_data` must be given for "
            "score='wanda', which needs activations: pass calibration_data=x. "
            "Received: calibration_data=None",
        ),
    ],
)
def test_bad_arguments_fail_at_construction(arguments, kind, message):
    with pytest.raises(kind) as error:
        Pruning(**arguments)

    assert str(error.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"include": "no_such"}, "`include` must match at least one weight"),
        ({"exclude": "no_such"}, "`exclude` must match at least one weight"),
        (
            {"sparsity": Polynomial(final=0.5, begin=2, end=99)},
            "lies after the end of this `fit` call",
        ),
        ({"sparsity": None, "pattern": "1:7"}, "must fit at least one"),
        (
            {"sparsity": Constant(0.5), "score": "taylor"},
            "must begin after the first step",
        ),
        (
            {"sparsity": Linear(initial=1.5, final=0.5)},
            "must be a schedule with values in",
        ),
    ],
)
def test_what_does_not_fit_the_model_fails_before_the_first_step(
    make_mlp, toy_data, arguments, message
):
    model = make_mlp()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        fit(model, toy_data, Pruning(**{"sparsity": 0.5, **arguments}))

    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_that_are_not_finite_are_refused(make_mlp, toy_data):
    model = make_mlp()
    kernel = model.get_layer("hidden").kernel
    kernel.assign(np.full(kernel.shape, np.inf))

    with pytest.raises(ValueError, match="must be finite before pruning"):
        fit(model, toy_data, Pruning(0.5))
