"""LayerwiseLearningRates: the update of a weight is multiplied."""

import keras
import numpy as np
import pytest
from callback_tools.fine_tuning import Watch, X, Y, compiled, fit, weights_of
from keras import optimizers

from keras_netopt.callbacks import (
    GradualUnfreezing,
    Growing,
    LayerwiseLearningRates,
    Pruning,
)
from keras_netopt.fine_tuning.rate_factors import find_rates
from keras_netopt.surgery import Widen
from keras_netopt.training import (
    NotIntendedUseWarning,
    recompile_keeping_state,
)

EAGER = keras.backend.backend() == "tensorflow"
SETTINGS = {
    "adadelta": lambda: optimizers.Adadelta(0.1),
    "adafactor": lambda: optimizers.Adafactor(0.01),
    "adam": lambda: optimizers.Adam(0.01, clipnorm=0.1),
    "adamw": lambda: optimizers.AdamW(0.01, weight_decay=0.5),
    "adamax": lambda: optimizers.Adamax(0.01),
    "ema": lambda: optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5),
    "ftrl": lambda: optimizers.Ftrl(0.01),
    "lamb": lambda: optimizers.Lamb(0.01),
    "lion": lambda: optimizers.Lion(0.01),
    "muon": lambda: optimizers.Muon(0.01, weight_decay=0.1),
    "nadam": lambda: optimizers.Nadam(0.01),
    "rmsprop": lambda: optimizers.RMSprop(0.01),
    "sgd": lambda: optimizers.SGD(0.1, 0.9, nesterov=True),
    "accumulated": lambda: optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "scaled": lambda: optimizers.LossScaleOptimizer(optimizers.Adam(0.01)),
    "multi": lambda: optimizers.MultiOptimizer(
        optimizers.OptimizerMap(
            optimizers.Adam(0.01), {".*head/.*": optimizers.SGD(0.1)}
        )
    ),
}


def one_update(name, *callbacks):
    """Weights before and after the first update."""
    model = compiled(SETTINGS[name](), run_eagerly=EAGER)
    before = weights_of(model)
    epochs = 2 if name == "accumulated" else 1
    fit(model, *callbacks, epochs=epochs, x=X[:16], y=Y[:16])
    return before, weights_of(model)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_update_is_multiplied_not_the_gradient(name):
    """With the decay; Adam would divide a factor of the gradient out."""
    rates = {"first": 0.0, "second": 0.25}
    before, plain = one_update(name)
    _, rated = one_update(name, LayerwiseLearningRates(rates))

    for path, old in before.items():
        layer = path.split("/")[0]
        factor = {"first": 0.0, "second": 0.25}.get(layer, 1.0)
        if factor == 1.0:
            np.testing.assert_array_equal(rated[path], plain[path])
        elif factor == 0.0:
            np.testing.assert_array_equal(rated[path], old)
            assert not np.array_equal(plain[path], old)
        else:
            expected = old + factor * (plain[path] - old)
            np.testing.assert_allclose(rated[path], expected, atol=1e-6)


def test_an_average_follows_the_multiplied_update():
    """`fit` ends with the averages in the place of the weights."""
    optimizer = optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    model = compiled(optimizer)
    before = weights_of(model)
    fit(model, LayerwiseLearningRates({"first": 0.0, "norm": 0.0}))

    after = weights_of(model)
    for path in ("first/kernel", "first/bias", "norm/gamma"):
        np.testing.assert_array_equal(after[path], before[path])
    assert not np.array_equal(after["head/kernel"], before["head/kernel"])


def test_decay_begins_at_the_last_layers():
    model = compiled(run_eagerly=EAGER)
    callback = LayerwiseLearningRates({"head": 0.5}, decay=0.1)
    fit(model, callback, epochs=1)

    rows = {row.layers: row.factor for row in callback.report().rows}
    assert rows == {
        ("first", "norm"): pytest.approx(0.01),
        ("second",): pytest.approx(0.1),
        ("head",): 0.5,
    }
    groups = LayerwiseLearningRates(decay=0.1, groups=["head", "first"])
    fit(model, groups, epochs=1)
    rows = {row.layers: row.factor for row in groups.report().rows}
    assert rows == {
        ("first",): pytest.approx(0.1),
        ("norm", "second", "head"): 1.0,
    }
    assert "norm, second, head" in str(groups.report())


def test_a_decay_that_stops_the_first_layers_is_named():
    callback = LayerwiseLearningRates(decay=1e-3)
    with pytest.warns(NotIntendedUseWarning, match="1e-06 to first.*`groups`"):
        fit(compiled(run_eagerly=EAGER), callback, epochs=1)


def test_layers_that_share_a_weight_have_one_factor():
    """The report told one factor, and the step applied the other."""

    class Tied(keras.layers.Layer):
        def __init__(self, other):
            super().__init__(name="tied")
            self.kernel = other.kernel

        def call(self, x):
            return x @ self.kernel

    first = keras.layers.Dense(6, name="first")
    first.build((None, 6))
    model = keras.Sequential([keras.Input((6,)), first, Tied(first)])
    for wrong in ((None, 0.5), ([("tied", 0.5)], None)):
        with pytest.raises(ValueError, match="must have one factor"):
            find_rates(model, wrong[0] or [], wrong[1], None)
    (one,) = find_rates(model, [(("first", "tied"), 0.5)], None, None)

    assert one.factor == 0.5
    assert one.group.parameters == 42


def test_the_factors_end_with_the_fit():
    """And a second `fit` with the callback compiles nothing."""
    rated, plain = compiled(), compiled()
    callback = LayerwiseLearningRates({"": 1.0})
    fit(rated, callback, epochs=1)
    fit(plain, epochs=1)
    for model in (rated, plain):
        fit(model, epochs=1)
    mine, theirs = weights_of(rated), weights_of(plain)
    for path, weight in mine.items():
        np.testing.assert_array_equal(weight, theirs[path])
    fit(rated, LayerwiseLearningRates({"first": 0.0}), epochs=1)
    before = weights_of(rated)
    fit(rated, epochs=1)
    assert not np.array_equal(
        weights_of(rated)["first/kernel"], before["first/kernel"]
    )


def test_a_compilation_in_between_keeps_the_factors():
    class Recompile(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                recompile_keeping_state(self.model)

    model = compiled()
    before = weights_of(model)
    fit(model, LayerwiseLearningRates({"first": 0.0}), Recompile(), epochs=3)

    np.testing.assert_array_equal(
        weights_of(model)["first/kernel"], before["first/kernel"]
    )


def test_unfreezing_and_rates_work_together():
    model, watch = compiled(optimizers.Adam(0.01)), Watch()
    rates = LayerwiseLearningRates({"second": 0.0})
    unfreezing = GradualUnfreezing(
        ["head", "second", ["first", "norm"]], every=2
    )
    fit(model, rates, unfreezing, watch)

    moved = [watch.moved(step) for step in (1, 3, 5, 8)]
    assert moved[:2] == [{"head"}] * 2
    assert moved[2:] == [{"head", "first", "norm"}] * 2


def test_pruned_and_grown_layers_keep_their_factor():
    """Growing gives a layer new weights, masks act on the update's result."""
    model = compiled()
    growing = Growing([Widen("second", add=2)], {0.5: [0]})
    rates = LayerwiseLearningRates({"second": 0.0})
    watch = Watch()
    fit(model, growing, Pruning(0.3, include="first"), rates, watch)

    assert watch.weights[-1]["second/kernel"].shape == (6, 8)
    np.testing.assert_array_equal(
        watch.weights[-1]["second/kernel"], watch.weights[-2]["second/kernel"]
    )
    assert (watch.weights[-1]["first/kernel"] == 0).sum() >= 10


REFUSED = {
    "nothing": ({}, "or `decay`"),
    "empty": ({"rates": {}}, "at least one"),
    "negative": ({"rates": {"head": -0.1}}, "at least 0"),
    "no match": ({"rates": {"body": 0.1}}, "nearest paths"),
    "overlap": ({"rates": {"head": 0.1, "d$": 0.2}}, "each layer once"),
    "groups alone": ({"rates": {"head": 0.1}, "groups": 2}, "without `decay`"),
    "growing decay": ({"decay": 2.0}, r"\(0, 1\]"),
}


def test_settings_without_an_effect_are_refused():
    model = compiled(run_eagerly=True)
    for arguments, text in REFUSED.values():
        with pytest.raises(ValueError, match=text) as error:
            fit(model, LayerwiseLearningRates(**arguments), epochs=1)
        assert "Received: " in str(error.value)
    with pytest.raises(ValueError, match="once per `fit`"):
        pair = [LayerwiseLearningRates(decay=0.5) for _ in range(2)]
        fit(model, *pair)
    with pytest.raises(TypeError, match="dictionary"):
        LayerwiseLearningRates(0.5)
