"""Layers that a global threshold starves, and sparsities that empty one."""

import keras
import numpy as np
import pytest

from keras_netopt.callbacks import Pruning, SparseTraining
from keras_netopt.schedules import Constant
from keras_netopt.sparsity import Block, Pruner, prune, report, select
from keras_netopt.sparsity.layer_collapse import find_collapsed
from keras_netopt.warnings import LayerCollapseWarning

L = keras.layers
pytestmark = pytest.mark.filterwarnings(
    "ignore::keras_netopt.warnings.NotIntendedUseWarning"
)


def starving():
    """As after Glorot's law: the widest layer has the smallest weights."""
    model = keras.Sequential(
        [
            keras.Input((400,)),
            L.Dense(30, name="wide"),
            L.Dense(20, name="middle"),
            L.Dense(5, name="out"),
        ],
        name="net",
    )
    rng = np.random.default_rng(0)
    for layer, scale in zip(model.layers, (0.01, 1.0, 1.0), strict=True):
        kernel = rng.uniform(0.5, 1.0, layer.kernel.shape)
        layer.set_weights([scale * kernel, np.zeros(kernel.shape[1])])
    model.compile("sgd", "mse")
    return model


DATA = np.ones((8, 400), "float32"), np.zeros((8, 5), "float32")
TEXT = (
    "`wide/kernel` keeps at most one weight per output unit, and less than a "
    "quarter of the share that all layers keep: little signal passes such a "
    'layer, and training may fail. Use `allocation="erk"`, a lower sparsity, '
    "or a larger `min_kept`."
)


def test_a_starved_layer_keeps_one_weight_per_unit_and_is_named():
    model = starving()
    with pytest.warns(LayerCollapseWarning) as caught:
        found = prune(model, 0.95)
    ours = [w for w in caught if w.category is LayerCollapseWarning]
    assert [str(w.message) for w in ours] == [f"`prune`: {TEXT}"]
    assert ours[0].filename == __file__
    assert found.zeros == round(0.95 * 12_700)
    assert found.rows[0].weights - found.rows[0].zeros == 30
    for one in (found, report(model)):
        assert [row.key for row in one.collapsed] == ["wide/kernel"]
        assert "at most one weight per output unit): wide/kernel." in str(one)


@pytest.mark.parametrize("make", (Pruning, SparseTraining))
def test_callbacks_name_it_once(make):
    arguments = {"allocation": "global", "score": "magnitude"}
    if make is Pruning:
        arguments["sparsity"] = Constant(0.95)
    else:
        arguments |= {"sparsity": 0.95, "regrow": None}
    model = starving()
    callback = make(**arguments)
    with pytest.warns(LayerCollapseWarning) as caught:
        model.fit(*DATA, batch_size=4, verbose=0, callbacks=[callback])
    ours = [w for w in caught if w.category is LayerCollapseWarning]
    assert [str(w.message) for w in ours] == [f"{make.__name__}: {TEXT}"]
    assert [row.key for row in callback.report().collapsed] == ["wide/kernel"]


@pytest.mark.filterwarnings("error::keras_netopt.warnings.LayerCollapseWarning")
def test_balanced_cuts_do_not_warn():
    model = starving()
    assert not prune(model, 0.95, allocation="erk").collapsed
    assert not prune(starving(), 0.98, allocation="uniform").collapsed
    assert not report(starving()).collapsed


def test_a_layer_set_by_hand_collapses_only_if_nothing_is_left(make_target):
    target = make_target((10, 10))
    mask = np.zeros((10, 10), bool)
    assert find_collapsed([target], [np.count_nonzero(mask)]) == [target.key]


@pytest.mark.no_backend
@pytest.mark.parametrize("sparsity", (0.3, 0.9, 0.95, 0.99, 0.999))
@pytest.mark.parametrize("pattern", ("unstructured", Block(4, 3), "channel"))
def test_the_default_floor_keeps_exact_counts(three_layers, sparsity, pattern):
    targets, weights = three_layers
    scales = (1e-3, 1, 1e3)
    weights = [w * scale for w, scale in zip(weights, scales, strict=True)]
    masks = Pruner.create(pattern=pattern).compute_masks(
        sparsity, targets, weights
    )
    kept = [int(mask.sum()) for mask in masks]
    total = sum(weight.size for weight in weights)
    if pattern == "unstructured":
        assert sum(kept) == total - round(total * sparsity)
        for count, target in zip(kept, targets, strict=True):
            share = int(target.view.size * (1 - sparsity) + 1e-6)
            assert count >= max(1, min(target.view.fan_out, share))
    else:
        inputs = [target.view.fan_in for target in targets]
        largest = max(inputs) if pattern == "channel" else 12
        # A unit of each layer remains, whatever the sparsity.
        assert abs(sum(kept) - total * (1 - sparsity)) <= 3 * largest


@pytest.mark.parametrize(
    "arguments",
    (
        {"allocation": "uniform"},
        {"allocation": {"out": 0.996}},
        {"allocation": "uniform", "pattern": "channel"},
        {
            "allocation": "uniform",
            "score": "wanda",
            "calibration_data": DATA[0],
        },
    ),
)
def test_a_sparsity_that_empties_a_layer_is_refused(arguments):
    model = starving()
    before = model.get_weights()
    with pytest.raises(ValueError) as error:
        prune(model, 0.996, **arguments)
    text = str(error.value)
    key = "middle" if "wanda" in arguments.values() else "out"
    if arguments.get("pattern") == "channel":
        key = "wide"
    assert "must leave each weight at least one element" in text
    assert f"`{key}/kernel`" in text, text
    assert all(map(np.array_equal, before, model.get_weights()))


def test_callbacks_refuse_it_before_training():
    model = starving()
    before = model.get_weights()
    callback = Pruning(0.996, allocation="uniform")
    with pytest.raises(ValueError, match="removes all 100 of `out/kernel`"):
        model.fit(*DATA, verbose=0, callbacks=[callback])
    assert all(map(np.array_equal, before, model.get_weights()))
    assert select(model).targets[0].variable.constraint is None
