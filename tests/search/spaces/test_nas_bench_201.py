"""The cell of NAS-Bench-201 against a search of its paths."""

import itertools

import keras
import numpy as np
import pytest

from keras_netopt import cost
from keras_netopt.search import spaces
from keras_netopt.search.spaces.nas_bench_201 import (
    EDGES,
    OPERATIONS,
    effective_edges,
)


def paths(edges, node=0):
    """All paths of edges from a node to the last one."""
    if node == 3:
        return [[]]
    return [
        [edge, *rest]
        for edge in edges
        if edge[0] == node
        for rest in paths(edges, edge[1])
    ]


def cell(*operations):
    names = (f"cell/edge{a}-{b}" for a, b in EDGES)
    return dict(zip(names, operations, strict=True))


@pytest.mark.no_backend
def test_effective_edges_lie_on_a_path():
    for kept in itertools.product([False, True], repeat=6):
        operations = {
            edge: "skip_connect" if one else "none"
            for edge, one in zip(EDGES, kept, strict=True)
        }
        edges = [edge for edge in EDGES if operations[edge] != "none"]
        expected = {edge for path in paths(edges) for edge in path}
        assert set(effective_edges(operations)) == expected


def test_the_space_has_all_cells():
    hp = spaces.nas_bench_201((8, 8, 1), 10).hyperparameters()
    assert [one.name for one in hp.space] == list(cell(*OPERATIONS, ""))
    assert {tuple(one.values) for one in hp.space} == {OPERATIONS}


def test_the_parameters_are_those_of_the_table():
    """All 3x3 convolutions: 1.531546 M in NAS-Bench-201 (16 channels)."""
    space = spaces.nas_bench_201((32, 32, 3), 10)
    model = space.model(cell(*["nor_conv_3x3"] * 6))
    trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert trainable == 1_531_546


def test_a_cell_computes_the_sum_of_its_paths():
    """Averages and identities leave a constant image as it is."""
    space = spaces.nas_bench_201((1, 1, 1), 2, channels=2, cells=1, stages=1)
    skip, pool, none = "skip_connect", "avg_pool_3x3", "none"
    for operations, expected in (
        ((skip, none, none, none, skip, none), 1),
        ((skip, skip, pool, pool, skip, skip), 4),
        ((skip, none, none, none, none, skip), 0),
        ((none, none, pool, skip, pool, pool), 1),
    ):
        model = space.model(cell(*operations))
        ends = [model.get_layer("stem_norm").output]
        ends.append(model.get_layer("last_norm").input)
        found = keras.Model(model.input, ends)(np.ones((2, 1, 1, 1)))
        first, result = map(keras.ops.convert_to_numpy, found)
        np.testing.assert_allclose(result, expected * first, rtol=1e-5)


def test_operations_without_effect_cost_nothing():
    space = spaces.nas_bench_201((4, 4, 1), 2, channels=2, cells=1, stages=1)
    conv = "nor_conv_3x3"
    dead = space.model(cell(conv, conv, conv, "skip_connect", "none", "none"))
    none = space.model(cell(*["none"] * 6))
    assert cost.summarize(dead).macs == cost.summarize(none).macs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"operations": ["none"]}, "at least two operations"),
        ({"operations": ["none", "conv"]}, "'nor_conv_1x1'"),
        ({"channels": 0}, "channels=0"),
        ({"cells": (1, 1)}, r"cells=\(1, 1\)"),
        ({"stages": ()}, r"stages=\(\)"),
        ({"outputs": 1}, "outputs=1"),
        ({"task": "text"}, "task='text'"),
        ({"input_shape": (8, 8)}, r"input_shape=\(8, 8\)"),
        ({"learning_rate": (1e-2, 1e-3)}, "learning_rate="),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    whole = {"input_shape": (8, 8, 1), "outputs": 2, **arguments}
    with pytest.raises(ValueError, match=message):
        spaces.nas_bench_201(**whole)


def test_a_value_outside_the_space_is_refused():
    space = spaces.nas_bench_201((8, 8, 1), 2)
    with pytest.raises(ValueError, match="values="):
        space.model({"cell/edge0-1": "conv"})
    with pytest.raises(ValueError, match="cell/edge3-4"):
        space.model({"cell/edge3-4": "none"})
