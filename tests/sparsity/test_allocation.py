import json

import keras
import numpy as np
import pytest

from keras_netopt.sparsity import KernelView, PerLayer, Pruner, Selection
from keras_netopt.sparsity import allocation as allocations
from keras_netopt.sparsity.allocation import layer_sparsities

pytestmark = pytest.mark.no_backend

MLP = [(784, 300), (300, 100), (100, 10)]


def views_of(shapes):
    return [
        KernelView(s, tuple(range(len(s) - 1)), (len(s) - 1,), s[-2])
        for s in shapes
    ]


def by_bisection(shapes, sparsity):
    """Densities min(1, eps * p): the largest eps that stays in the budget."""
    sizes = np.array([np.prod(s) for s in shapes], float)
    p = np.array([sum(s) / np.prod(s) for s in shapes])
    low, high = 0.0, 1e9
    for _ in range(300):
        middle = (low + high) / 2
        used = (np.minimum(1.0, middle * p) * sizes).sum()
        low, high = (
            (middle, high)
            if used <= (1 - sparsity) * sizes.sum()
            else (low, middle)
        )
    return 1 - np.minimum(1.0, low * p)


def random_shapes(rng):
    shapes = []
    for _ in range(int(rng.integers(2, 9))):
        channels = rng.integers(1, 300, 2)
        window = [3, 3] if rng.random() < 0.5 else []
        shapes.append(tuple(int(d) for d in (*window, *channels)))
    return shapes


def test_erk_of_the_mlp_at_95_percent():
    found = layer_sparsities("erk", views_of(MLP), 0.95)
    # epsilon = 0.05 * 266200 / (1084 + 400 + 110) = 8.35006...
    assert found == pytest.approx([0.96151580, 0.88866583, 0.08149310])


@pytest.mark.parametrize("seed", range(20))
def test_erk_equals_brute_force(seed):
    rng = np.random.default_rng(seed)
    shapes, sparsity = random_shapes(rng), float(rng.uniform(0.05, 0.99))
    found = layer_sparsities("erk", views_of(shapes), sparsity)
    sizes = np.array([np.prod(s) for s in shapes])
    assert found == pytest.approx(by_bisection(shapes, sparsity), abs=1e-6)
    assert ((found >= 0) & (found < 1)).all()
    assert (found * sizes).sum() == pytest.approx(sparsity * sizes.sum())


def test_erk_keeps_small_layers_dense():
    # 1.9 > 1 for the second layer, so the first one has all the zeros.
    found = layer_sparsities("erk", views_of([(100, 100), (2, 2)]), 0.5)
    assert found == pytest.approx([0.5 * 10004 / 10000, 0.0])


def test_erk_of_nothing_pruned_is_dense():
    assert layer_sparsities("erk", views_of(MLP), 0.0) == pytest.approx(0.0)


def test_er_ignores_the_window():
    shapes = [(3, 3, 10, 20), (10, 20)]
    er = 1 - layer_sparsities("er", views_of(shapes), 0.9)
    erk = 1 - layer_sparsities("erk", views_of(shapes), 0.9)
    assert er[0] == pytest.approx(er[1])
    assert erk[1] / erk[0] == pytest.approx((30 / 200) / (36 / 1800))


def test_uniform_gives_each_layer_the_same_sparsity():
    assert layer_sparsities("uniform", views_of(MLP), 0.7).tolist() == [0.7] * 3


@pytest.mark.parametrize("allocation", ["lamp", 3, None])
def test_unknown_allocation_lists_the_allowed_names(allocation):
    with pytest.raises(ValueError) as error:
        allocations.resolve_allocation(allocation)
    assert str(error.value) == (
        "Argument `allocation` must be one of 'uniform', 'erk', 'er', "
        "'global', a dictionary or a PerLayer. "
        f"Received: allocation={allocation!r}"
    )


@pytest.mark.parametrize(
    "make, error, message",
    [
        (
            lambda: PerLayer([("a", 0.5)]),
            TypeError,
            "Argument `values` must be a dictionary from patterns to "
            "sparsities. Received: values=[('a', 0.5)]",
        ),
        (
            lambda: PerLayer({"a": 1.0}),
            ValueError,
            "Argument `values` must be a float in [0, 1). Received: values=1.0",
        ),
        (
            lambda: PerLayer({3: 0.5}),
            TypeError,
            "Argument `allocation` must be a regular expression, a layer, a "
            'layer class, a callable(layer), "first", "last" or a list of '
            "those. Received: allocation=3",
        ),
        (
            lambda: PerLayer({"(": 0.5}),
            ValueError,
            "Argument `allocation` must be a valid regular expression, but "
            "missing ), unterminated subpattern at position 0. "
            "Received: allocation='('",
        ),
        (
            lambda: PerLayer({"a": 0.5}, rest="lamp"),
            ValueError,
            "Argument `rest` must be one of 'uniform', 'erk', 'er', 'global'. "
            "Received: rest='lamp'",
        ),
        (
            lambda: PerLayer({"a": 0.5}, keep_total=1),
            TypeError,
            "Argument `keep_total` must be True or False. "
            "Received: keep_total=1",
        ),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error) as raised:
        make()
    assert str(raised.value) == message


def zeros_of(pruner, layers, sparsity, **arguments):
    targets, weights = layers
    fitted = pruner.filter_selection(None, Selection(tuple(targets), ()))
    masks = pruner.compute_masks(sparsity, fitted.targets, weights, **arguments)
    return [int(mask.size - mask.sum()) for mask in masks]


@pytest.mark.parametrize("rest", allocations.ALLOCATIONS)
def test_per_layer_keeps_the_total(three_layers, rest):
    # Sizes are 1152, 1536 and 240, together 2928.
    allocation = PerLayer({"l0/": 0.25, "last": None}, rest=rest)
    pruner = Pruner.create(allocation=allocation)
    assert zeros_of(pruner, three_layers, 0.5) == [288, 1464 - 288, 0]


def test_per_layer_without_keep_total(three_layers):
    allocation = PerLayer({"l0/": 0.25, "last": None}, keep_total=False)
    pruner = Pruner.create(allocation=allocation)
    assert zeros_of(pruner, three_layers, 0.5) == [288, 768, 0]


def test_the_first_selector_that_matches_applies(three_layers):
    allocation = PerLayer({"l0": None, "": 0.5}, keep_total=False)
    pruner = Pruner.create(allocation=allocation)
    assert zeros_of(pruner, three_layers, 0.9) == [0, 768, 120]


def test_per_layer_sparsities_follow_the_schedule(three_layers):
    pruner = Pruner.create(allocation={"l0/": 0.5})
    assert zeros_of(pruner, three_layers, 0.0, final=0.8) == [0, 0, 0]
    assert zeros_of(pruner, three_layers, 0.4, final=0.8)[0] == 288
    halfway = zeros_of(pruner, three_layers, 0.4, final=0.8)
    assert sum(halfway) == round(0.4 * 2928)
    assert zeros_of(pruner, three_layers, 0.8, final=0.8)[0] == 576


def test_config_round_trip():
    values = {"a/": 0.5, keras.layers.Dense: None, keras.layers.Dense(1): 0.2}
    allocation = PerLayer(values, rest="erk", keep_total=False)
    config = keras.saving.serialize_keras_object(allocation)
    json.dumps(config)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == allocation.get_config()
    assert list(again.values)[1] is keras.layers.Dense


def test_a_selector_without_a_match_lists_the_keys(three_layers):
    pruner = Pruner.create(allocation={"nope": 0.5})
    with pytest.raises(ValueError) as error:
        zeros_of(pruner, three_layers, 0.5)
    assert str(error.value) == (
        "Argument `allocation` must match at least one weight to prune. The "
        "nearest paths are 'l0/kernel', 'l1/kernel', 'l2/kernel'. "
        "Received: allocation='nope'"
    )


@pytest.mark.parametrize(
    "values, sparsity, fault, needed, room",
    [
        ({"l0": None, "l1": None}, 0.5, "too little", 1464, 240),
        ({"l0": 0.9}, 0.1, "too much", 293 - 1037, 1776),
    ],
)
def test_per_layer_that_cannot_reach_the_total_raises(
    three_layers, values, sparsity, fault, needed, room
):
    pruner = Pruner.create(allocation=values)
    with pytest.raises(ValueError) as error:
        zeros_of(pruner, three_layers, sparsity)
    assert str(error.value) == (
        f"Argument `allocation` prunes {fault} by hand for a total sparsity "
        f"of {sparsity:g}: the other layers would have to prune {needed} of "
        f"their {room} weights. Change it, or pass "
        f"`PerLayer(..., keep_total=False)`. Received: allocation={values!r}"
    )
