import copy
import re
import sys

import keras
import numpy as np
import pytest

from keras_netopt import plots
from keras_netopt.callbacks import LearningRateFinder
from keras_netopt.learning_rate.range_test import RangeTest, sweep_rates
from keras_netopt.training import NoEffectWarning

BACKEND = keras.backend.backend()
JIT = False if BACKEND == "tensorflow" else "auto"


def quadratic(curvature, optimizer=None):
    """0.5 * curvature * w ** 2 in the one weight w."""
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(
                1, use_bias=False, kernel_initializer="ones", name="w"
            ),
        ]
    )
    loss = lambda y, p: 0.5 * curvature * keras.ops.square(p)  # noqa: E731
    model.compile(optimizer or keras.optimizers.SGD(0.1), loss, jit_compile=JIT)
    return model


@pytest.fixture
def curve(lend):
    """A traced `quadratic`."""

    def take(curvature):
        return lend(f"curve {curvature}", lambda: quadratic(curvature))

    return take


def sweep(model, finder, batches=100, epochs=1, **arguments):
    x = np.ones((batches, 1), "float32")
    model.fit(
        x,
        x,
        batch_size=1,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[finder, *arguments.pop("others", ())],
        **arguments,
    )
    return finder


def everything(model):
    found = [*model.variables, *model.optimizer.variables]
    return [np.array(keras.ops.convert_to_numpy(v)) for v in found]


def assert_equal(mine, theirs):
    assert len(mine) == len(theirs)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


class Rates(keras.callbacks.Callback):
    """The rate that is in force while each batch is trained."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        rate = self.model.optimizer.learning_rate
        self.seen.append(float(keras.ops.convert_to_numpy(rate)))


@pytest.mark.parametrize("curvature", [3.0, 100.0])
def test_the_suggestion_is_near_the_inverse_of_the_curvature(curve, curvature):
    model = curve(curvature)
    finder = sweep(model, LearningRateFinder())

    assert 1 / 3 <= finder.suggestion * curvature <= 3
    assert 0.05 <= finder.steepest * curvature <= 1
    assert len(finder.history["loss"]) < 100  # It has ended by itself.


def test_each_batch_has_its_rate_and_its_own_loss(curve):
    """The losses are those of a loop by hand, out of Keras' running mean."""
    model, rates = curve(3.0), Rates()
    finder = LearningRateFinder(1e-3, 0.5, steps=12)
    sweep(model, finder, batches=5, epochs=4, others=[rates])

    wanted = sweep_rates(1e-3, 0.5, 12)
    np.testing.assert_array_equal(rates.seen, np.float32(wanted))
    assert finder.history["learning_rate"] == wanted
    weight, losses = 1.0, []
    for rate in wanted:
        losses.append(1.5 * weight**2)
        weight -= rate * 3.0 * weight
    np.testing.assert_allclose(finder.history["loss"], losses, atol=2e-6)
    test = RangeTest()
    test.replay(wanted, finder.history["loss"])
    assert finder.history["smoothed_loss"] == test.smoothed


def test_the_state_is_restored_bit_for_bit(traced_mlp, toy_data):
    """Random state included: two equal models then train alike."""
    x, y = toy_data
    data = {"batch_size": 8, "shuffle": False, "verbose": 0}
    twin, model = traced_mlp(), traced_mlp()
    for one in (twin, model):
        keras.utils.set_random_seed(3)
        one.fit(x, y, **data)
    before = everything(model)
    finder = LearningRateFinder(1e-4, 1.0, smoothing=0.5)
    keras.utils.set_random_seed(1)
    model.fit(x, y, epochs=3, callbacks=[finder], **data)

    assert len(finder.history["loss"]) > 10
    assert_equal(everything(model), before)
    assert int(model.optimizer.iterations) == 8
    for one in (twin, model):
        keras.utils.set_random_seed(2)
        one.fit(x, y, epochs=2, **data)
    assert_equal(everything(model), everything(twin))


def test_an_unused_optimizer_is_restored():
    model = quadratic(3.0, keras.optimizers.Adam(0.1))
    sweep(model, LearningRateFinder(1e-3, steps=20))
    iterations, rate, *slots = everything(model)[1:]

    assert (iterations, rate) == (0, np.float32(0.1))
    assert len(slots) == 2
    assert not np.any(slots)


# Eight noisy batches need not show a fall.
@pytest.mark.filterwarnings("ignore:LearningRateFinder. no suggestion")
@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_half_precision_is_restored(policy, make_mlp, toy_data):
    keras.config.set_dtype_policy(policy)
    try:
        model = make_mlp("sgd", jit_compile=JIT)
    finally:
        keras.config.set_dtype_policy("float32")
    model.optimizer.build(model.trainable_variables)
    before = everything(model)
    finder = LearningRateFinder(1e-3, 1.0)
    model.fit(*toy_data, batch_size=8, verbose=0, callbacks=[finder])

    assert_equal(everything(model), before)


def test_averaged_weights_are_restored():
    optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    model = quadratic(3.0, optimizer)
    optimizer.build(model.trainable_variables)
    before = everything(model)
    sweep(model, LearningRateFinder(steps=20))

    assert_equal(everything(model), before)


def test_steps_default_to_the_batches_of_the_fit_at_most_100(curve):
    long = sweep(curve(1e-3), LearningRateFinder(), batches=130)
    short = sweep(curve(1e-3), LearningRateFinder(), batches=9, epochs=2)

    assert len(long.history["loss"]) == 100
    assert len(short.history["loss"]) == 18
    assert short.history["learning_rate"][-1] == 10.0


@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")
def test_data_of_unknown_length_are_swept(curve):
    def batches():
        for _ in range(12):
            yield np.ones((1, 1)), np.ones((1, 1))

    model = curve(3.0)
    model.optimizer.build(model.trainable_variables)
    before, finder = everything(model), LearningRateFinder(1e-2, 0.1)
    # The data end within the first factor of ten.
    with pytest.warns(NoEffectWarning, match="a tenth of that lies below"):
        model.fit(batches(), shuffle=False, verbose=0, callbacks=[finder])

    assert len(finder.history["loss"]) == 12
    assert_equal(everything(model), before)


if BACKEND != "torch":  # Keras refuses it on torch.

    def test_an_execution_of_many_steps_has_one_rate():
        model = quadratic(3.0)
        model.steps_per_execution = 4
        finder = sweep(model, LearningRateFinder(1e-3, 0.1), batches=10)

        wanted = sweep_rates(1e-3, 0.1, 10)
        assert finder.history["learning_rate"] == wanted[::4]
        assert finder.history["loss"][0] > finder.history["loss"][-1]


def test_a_loss_that_is_not_finite_ends_the_sweep(curve):
    model = curve(1.0)
    x = np.ones((20, 1), "float32")
    x[13] = np.nan
    finder = LearningRateFinder(1e-3, 0.1)
    model.fit(x, x, batch_size=1, shuffle=False, verbose=0, callbacks=[finder])

    assert len(finder.history["loss"]) == 14
    lowest = finder.history["learning_rate"][12]
    assert finder.suggestion == lowest / 10
    assert np.isfinite(everything(model)[0]).all()


def test_a_loss_that_only_rises_warns(curve):
    model, finder = curve(1.0), LearningRateFinder(3.0, 9.0)
    with pytest.warns(NoEffectWarning, match="Lower `min_learning_rate`"):
        sweep(model, finder)

    assert finder.suggestion is None
    assert finder.steepest is None
    assert "\nNote: The loss falls at no rate from 3 to " in str(
        finder.report()
    )


def test_a_minimum_at_the_start_is_no_suggestion(curve):
    """The rate may be far lower than a sweep of less than a factor of ten."""
    model, finder = curve(3.0), LearningRateFinder(0.05, 0.3)
    note = (
        "The loss is lowest at 0.3, and a tenth of that lies below the first "
        "rate, 0.05. Start the sweep lower, as with "
        "`min_learning_rate=0.003`; where the minimum is noise, use more "
        "`steps` or larger batches."
    )
    message = re.escape(f"LearningRateFinder: no suggestion. {note}")
    with pytest.warns(NoEffectWarning, match=f"^{message}$"):
        sweep(model, finder, batches=20)

    report = finder.report()
    assert (finder.suggestion, report.suggestion) == (None, None)
    assert report.note == note
    assert f"\nNote: {note}" in str(report)
    assert finder.steepest in finder.history["learning_rate"]


class Stop(Exception):
    pass


def interrupted(model, finder):
    def fail(batch, logs):
        if batch == 5:
            raise Stop

    bomb = keras.callbacks.LambdaCallback(on_train_batch_end=fail)
    with pytest.raises(Stop):
        sweep(model, finder, others=[bomb])


def test_restore_undoes_an_interrupted_sweep(curve):
    model = curve(3.0)
    model.optimizer.build(model.trainable_variables)
    before, finder = everything(model), LearningRateFinder(1e-2)
    assert not finder.restore()
    interrupted(model, finder)

    assert any(map(np.any, np.subtract(before[0], everything(model)[0])))
    assert finder.restore()
    assert_equal(everything(model), before)
    assert not finder.restore()


def test_the_next_sweep_undoes_an_interrupted_one(curve):
    model = curve(3.0)
    model.optimizer.build(model.trainable_variables)
    before = everything(model)
    interrupted(model, LearningRateFinder(1e-2))
    sweep(model, LearningRateFinder(1e-2))

    assert_equal(everything(model), before)


def test_a_model_trained_since_is_not_restored(curve):
    model, finder = curve(3.0), LearningRateFinder(1e-2)
    interrupted(model, finder)
    x = np.ones((8, 1), "float32")
    model.fit(x, x, batch_size=2, verbose=0)
    trained = everything(model)

    assert not finder.restore()
    assert_equal(everything(model), trained)


def test_copies_before_and_after_a_fit_hold_settings_only(curve):
    finder = LearningRateFinder(1e-3, 0.1, steps=20)
    fresh = copy.deepcopy(finder)
    sweep(curve(3.0), finder)
    used = copy.deepcopy(finder)

    for one in (fresh, used):
        assert one.get_config() == finder.get_config()
        assert one.history == {
            "learning_rate": [],
            "loss": [],
            "smoothed_loss": [],
        }
        assert one.suggestion is None


def test_a_schedule_is_refused_with_the_remedy():
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    model = quadratic(1.0, keras.optimizers.SGD(decay))
    message = (
        "LearningRateFinder sets the learning rate of each batch, so the "
        "optimizer's rate must be a number: compile the model with a number "
        "such as learning_rate=1e-3 for this `fit`, with the schedule "
        "afterwards. Received: "
        "optimizer=SGD(learning_rate=ExponentialDecay)"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        sweep(model, LearningRateFinder())


def test_several_learning_rates_are_refused():
    optimizer = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.1))
    )
    message = "Received: optimizer=MultiOptimizer$"
    with pytest.raises(ValueError, match=message):
        sweep(quadratic(1.0, optimizer), LearningRateFinder())


def test_a_fit_that_is_too_short_is_refused_before_the_first_step(curve):
    model = curve(1.0)
    model.optimizer.build(model.trainable_variables)
    before = everything(model)
    for steps, batches in ((30, 9), (None, 1)):
        message = (
            f"Argument `steps` must be at least 2 and at most the {batches} "
            "batches of this `fit`: use smaller batches or more epochs. "
            f"Received: steps={steps}"
        )
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            sweep(model, LearningRateFinder(steps=steps), batches=batches)
    assert_equal(everything(model), before)


def test_the_report_holds_the_sweep(curve):
    finder = LearningRateFinder()
    message = (
        "LearningRateFinder has no sweep to report: pass the callback to "
        f"`fit` first. Received: {finder!r}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        finder.report()
    report = sweep(curve(3.0), finder).report()
    assert report.suggestion == finder.suggestion
    assert report.to_dict() == {
        "suggestion": finder.suggestion,
        "steepest": finder.steepest,
        **finder.history,
        "fall": report.fall,
        "noise": report.noise,
        "note": None,
    }
    text = str(report)
    assert f"{finder.suggestion:.4g} │ use it: `OneCycle` peak, " in text
    assert f"{finder.steepest:.4g} │ constant with Adam; often" in text
    smoothed = finder.history["smoothed_loss"]
    assert report.fall == max(smoothed[10:-10]) - min(smoothed)
    assert 0.0 < 3.0 * report.noise < report.fall
    assert f"The smoothed loss falls by {report.fall:.3g}; its noise" in text


@pytest.mark.filterwarnings("ignore:LearningRateFinder. no suggestion")
def test_a_small_noisy_sweep_suggests_a_rate_of_the_sweep_or_none():
    """A tenth of the rate of the lowest loss, unless it lies below."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 6)).astype("float32")
    y = x @ rng.normal(size=(6, 1)).astype("float32")
    hidden = keras.layers.Dense(8, activation="relu")
    model = keras.Sequential([keras.Input((6,)), hidden, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(), "mse")
    shapes, found = [w.shape for w in model.get_weights()], []
    for seed in range(5):
        keras.utils.set_random_seed(seed)
        model.set_weights([rng.normal(0.0, 0.4, shape) for shape in shapes])
        finder = LearningRateFinder(1e-5, 1.0)
        model.fit(x, y, batch_size=8, epochs=3, verbose=0, callbacks=[finder])

        rates = finder.history["learning_rate"]
        smoothed = np.array(finder.history["smoothed_loss"])
        lowest = 1 + int(np.argmin(smoothed[1:]))
        inside = rates[lowest] / 10 >= 1e-5
        wanted = rates[lowest] / 10 if inside else None
        assert finder.suggestion == wanted
        assert wanted is None or 1e-5 <= wanted <= 1.0
        found.append(inside)
    assert any(found)


def test_the_plot_marks_both_rates(curve):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    finder = sweep(curve(3.0), LearningRateFinder())
    axes = finder.plot().axes[0]
    dots, curve, suggestion, steepest = axes.lines

    history = finder.history
    assert dots.get_xdata().tolist() == history["learning_rate"]
    assert curve.get_ydata().tolist() == history["smoothed_loss"]
    assert set(suggestion.get_xdata()) == {finder.suggestion}
    assert set(steepest.get_xdata()) == {finder.steepest}
    assert axes.get_xscale() == "log"
    # The divergence at the end does not flatten the rest.
    assert axes.get_ylim()[1] < 2 * history["loss"][0]


@pytest.mark.no_backend
@pytest.mark.parametrize("steps", [10, 40, 400])
def test_the_note_and_the_legend_are_outside_the_curve(steps):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    random, test = np.random.default_rng(2), RangeTest()
    for rate in sweep_rates(1e-5, 1.0, steps):
        test.add(rate, 1.0 + 0.2 * random.normal())
    figure = plots.learning_rate_curve(
        {
            "learning_rate": test.rates,
            "loss": test.losses,
            "smoothed_loss": test.smoothed,
        },
        suggestion=test.suggestion,
        steepest=test.steepest,
        note=test.note,
    )
    figure.draw_without_rendering()
    (axes,), note = figure.axes, figure.texts[0]

    assert note.get_text().replace("\n", " ") == test.note
    around = axes.get_window_extent()
    below = axes.xaxis.get_tightbbox()  # Ticks and label included.
    told, legend = note.get_window_extent(), axes.get_legend()
    assert 0 <= told.y0 < told.y1 <= below.y0 < around.y0
    assert 0 <= told.x0 < told.x1 <= figure.bbox.x1
    names = legend.get_window_extent()
    assert around.y1 <= names.y0 < names.y1 <= figure.bbox.y1


@pytest.mark.no_backend
def test_a_plot_before_a_sweep_raises(monkeypatch):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    message = "^Argument `history` must hold at least one batch: call `fit` "
    with pytest.raises(ValueError, match=message):
        LearningRateFinder().plot()
    with pytest.raises(ValueError, match=message):
        plots.learning_rate_curve(LearningRateFinder().history)
