"""One grammar of selectors in every method that takes one."""

import json

import keras
import numpy as np
import pytest

from keras_netopt import selectors, sparsity, surgery
from keras_netopt.callbacks import ChannelPruning, ParameterScheduler, Pruning
from keras_netopt.graph.layers import walk_layers

Dense = keras.layers.Dense
SMALL = {"round_to": None, "min_channels": 1}


@keras.saving.register_keras_serializable("test")
class Wide(Dense):
    """A class of layers that the user has written."""


@keras.saving.register_keras_serializable("test")
def has_six_units(layer):
    return getattr(layer, "units", None) == 6


def make_model():
    """The layers one, block/two, block/three and out."""
    block = keras.Sequential(
        [keras.Input((4,)), Wide(6, name="two"), Dense(6, name="three")],
        name="block",
    )
    layers = [Dense(4, name="one"), block, Dense(2, name="out")]
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.compile("sgd", "mse", run_eagerly=True)
    return model


def fit(model, callback):
    """Calls the hooks of a `fit` of one step, without the step."""
    hooks = keras.callbacks.CallbackList(
        [callback], model=model, epochs=1, steps=1
    )
    hooks.on_train_begin()
    hooks.on_epoch_begin(0)
    hooks.on_train_batch_begin(0)
    hooks.on_train_batch_end(0)
    hooks.on_epoch_end(0)
    hooks.on_train_end()
    return callback


def names(keys):
    return {key.split("/")[-2] for key in keys if key.endswith("kernel")}


def pruning(model, selector):
    report = fit(model, Pruning(0.5, include=selector)).report()
    return names(row.key for row in report.rows if row.target is not None)


def prune(model, selector):
    report = sparsity.prune(model, 0.5, include=selector)
    return names(row.key for row in report.rows if row.target is not None)


def select(model, selector):
    chosen = sparsity.select(model, selector)
    return names(target.key for target in chosen.targets)


def allocation(model, selector):
    """The layers that get zeros: the sparsity of all others is 0."""
    values = dict.fromkeys(selectors.as_patterns(selector), 0.5)
    rule = sparsity.PerLayer(values, rest="uniform", keep_total=False)
    report = sparsity.prune(model, 1e-9, allocation=rule)
    return names(row.key for row in report.rows if row.zeros)


def channel_pruning(model, selector):
    callback = ChannelPruning(0.5, include=selector, **SMALL)
    report = fit(model, callback).report()
    return {row.layer.split("/")[-1] for row in report.widths}


def prune_channels(model, selector):
    report = surgery.prune_channels(model, 0.5, include=selector, **SMALL)
    return {row.layer.split("/")[-1] for row in report.widths}


def parameter_scheduler(model, selector):
    fit(model, ParameterScheduler("bias", 1.0, include=selector))
    return {
        layer.name
        for layer in walk_layers(model)
        if isinstance(layer, Dense) and set(np.ravel(layer.bias)) == {1.0}
    }


# Each method with the argument and the word of its message, and whether the
# last layer is one that it changes.
METHODS = {
    pruning: ("include", "weight", True),
    prune: ("include", "weight", True),
    select: ("include", "weight", True),
    allocation: ("allocation", "weight to prune", True),
    channel_pruning: ("include", "layer with channels", False),
    prune_channels: ("include", "layer with channels", False),
    parameter_scheduler: ("include", "layer", True),
}

SELECTORS = [
    (lambda model: "^one", {"one"}),
    (lambda model: "k/t", {"two", "three"}),
    (lambda model: "^block/", {"two", "three"}),
    (lambda model: "two/", {"two"}),
    (lambda model: "first", {"one"}),
    (lambda model: "last", {"out"}),
    (lambda model: model.get_layer("block"), {"two", "three"}),
    (lambda model: model.get_layer("one"), {"one"}),
    (lambda model: Wide, {"two"}),
    (lambda model: keras.Sequential, {"one", "two", "three", "out"}),
    (lambda model: has_six_units, {"two", "three"}),
    (lambda model: ["first", Wide, "thr.e"], {"one", "two", "three"}),
]


@pytest.mark.parametrize("method", METHODS)
def test_a_selector_means_the_same_in_every_method(method):
    changes_output = METHODS[method][2]
    for make_selector, expected in SELECTORS:
        model = make_model()
        selector = make_selector(model)
        if not changes_output:
            expected = {"three"} if selector == "last" else expected - {"out"}
        assert method(model, selector) == expected, selector


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("selector", "nearest"),
    [
        ("tow", "block/two"),
        (keras.layers.Conv2D, ""),
        (Dense(3, name="thre"), "block/three"),
        (lambda layer: False, ""),
    ],
)
def test_a_selector_without_a_match_raises(method, selector, nearest):
    name, kind, _ = METHODS[method]
    with pytest.raises(ValueError) as error:
        method(make_model(), selector)

    start = f"Argument `{name}` must match at least one {kind}. The nearest "
    assert str(error.value).startswith(f"{start}paths are '{nearest}")
    assert str(error.value).endswith(f"Received: {name}={selector!r}")


def test_last_is_the_last_layer_that_can_be_cut():
    model = make_model()
    report = surgery.prune_channels(model, 0.5, exclude="last", **SMALL)
    assert {row.layer for row in report.widths} == {"one", "block/two"}
    assert ("block/three", "excluded") in report.skipped


@pytest.mark.parametrize(
    ("selector", "error", "message"),
    [
        (3, TypeError, f"must be {selectors.KINDS}. Received: include=3"),
        (
            ["one", dict],
            TypeError,
            f"must be {selectors.KINDS}. Received: include=<class 'dict'>",
        ),
        (
            [],
            ValueError,
            "must hold at least one selector, or be None. Received: include=[]",
        ),
        (
            "*",
            ValueError,
            "must be a valid regular expression, but nothing to repeat at "
            "position 0. Received: include='*'",
        ),
    ],
)
@pytest.mark.parametrize(
    "make",
    [
        lambda selector: Pruning(0.5, include=selector),
        lambda selector: sparsity.select(make_model(), selector),
        lambda selector: ChannelPruning(0.5, include=selector),
        lambda selector: ParameterScheduler("bias", 0.5, include=selector),
    ],
)
def test_other_values_raise(make, selector, error, message):
    with pytest.raises(error) as raised:
        make(selector)
    assert str(raised.value) == f"Argument `include` {message}"


@pytest.mark.parametrize(
    "function", [lambda: True, lambda variable, layer: True]
)
def test_a_callable_must_take_one_layer(function):
    with pytest.raises(TypeError, match=r"a callable\(layer\)"):
        Pruning(0.5, exclude=function)


def test_config_round_trip():
    selector = ["first", Wide, Dense, has_six_units, Dense(1, name="a.b")]
    config = selectors.serialize_selector(selector)

    assert json.loads(json.dumps(config)) == config
    assert selectors.deserialize_selector(config) == [
        *selector[:-1],
        r"(^|/)a\.b/",
    ]
    assert selectors.deserialize_selector(None) is None


def test_config_of_an_unknown_class_raises():
    with pytest.raises(ValueError) as error:
        selectors.deserialize_selector({"layer_class": "Missing"})
    assert str(error.value) == (
        "A layer class or a function in a selector must be registered with "
        "keras.saving.register_keras_serializable to be read from a config, "
        "unless Keras has the class. Received: layer_class='Missing'"
    )
