import keras_tuner
import numpy as np
import pytest
from search.oracle_tools import assert_valid_nested, cells, nested, space

from keras_netopt.search.search_space import SearchSpace

pytestmark = pytest.mark.no_backend


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_points_drawn_mutated_and_crossed_are_valid(rng):
    found = SearchSpace(nested())
    drawn = [found.random(rng) for _ in range(200)]
    mutated = [found.mutate(point, rng) for point in drawn]
    crossed = [
        found.crossover(a, b, rng, mutation=0.2)
        for a, b in zip(drawn, mutated[::-1], strict=True)
    ]
    for point in (*drawn, *mutated, *crossed):
        assert_valid_nested(point)
    assert all(
        found.key(a) != found.key(b)
        for a, b in zip(drawn, mutated, strict=True)
    )


def test_points_are_uniform_on_the_scale_of_each(rng):
    hp = space(x=("Float", 1e-4, 1.0, None, "log"), n=("Int", 0, 9))
    drawn = [SearchSpace(hp).random(rng) for _ in range(2000)]
    below = sum(values["x"] < 1e-2 for values in drawn) / 2000
    assert 0.45 < below < 0.55
    assert {values["n"] for values in drawn} == set(range(10))


def test_a_mutation_changes_one_value_and_what_hangs_on_it(rng):
    found = SearchSpace(nested())
    point = {"net": "mlp", "size": 2, "norm": False, "version": 3}
    changed = set()
    for _ in range(100):
        child = found.mutate(point, rng)
        differs = {k for k in point if child.get(k) != point[k]}
        if "net" in differs:
            assert set(child) == {"net", "size", "filters", "version"}
        else:
            assert len(differs) == 1
            assert ("momentum" in child) == child["norm"]
        changed |= differs
    assert changed == {"net", "size", "norm"}


def test_children_take_each_value_from_a_parent(rng):
    found = SearchSpace(cells())
    first, second = {"a": 0, "b": "b1"}, {"a": 2, "b": "b3"}
    children = {
        tuple(found.crossover(first, second, rng).values()) for _ in range(50)
    }
    assert children == {(0, "b1"), (0, "b3"), (2, "b1"), (2, "b3")}


def test_mutations_give_children_values_of_neither_parent(rng):
    found = SearchSpace(cells())
    first, second = {"a": 0, "b": "b1"}, {"a": 2, "b": "b3"}
    children = [
        found.crossover(first, second, rng, mutation=0.5) for _ in range(200)
    ]
    every = {tuple(point.values()) for point in found.grid()}
    assert {tuple(child.values()) for child in children} == every
    inherited = [child["a"] in (0, 2) for child in children]
    # Half of the random values are a parent's by chance.
    assert 0.65 < np.mean(inherited) < 0.85


def test_cells_come_in_order_the_last_fastest():
    hp = space(a=("Choice", ["x", "y"]), n=("Int", 1, 2))
    with hp.conditional_scope("a", ["y"]):
        hp.Boolean("flag")
    found = [tuple(point.values()) for point in SearchSpace(hp).grid()]
    assert found == [
        ("x", 1),
        ("x", 2),
        ("y", 1, False),
        ("y", 1, True),
        ("y", 2, False),
        ("y", 2, True),
    ]


def test_one_name_under_two_parents_is_two_dimensions():
    found = SearchSpace(nested())
    sizes = [d for d in found.searchable if d.name == "size"]
    assert len({d.key for d in sizes}) == 2
    places = found.encode({"net": "cnn", "size": 120, "filters": 8})
    index = {id(d): i for i, d in enumerate(found.searchable)}
    assert np.isnan(places[index[id(sizes[0])]])
    assert not np.isnan(places[index[id(sizes[1])]])


def test_untried_ends_with_the_space(rng):
    found, tried = SearchSpace(cells()), set()
    for _ in range(16):
        tried.add(found.key(found.untried(tried, rng)))
    assert len(tried) == 16
    assert found.untried(tried, rng) is None


def test_untried_finds_the_last_point_of_a_large_space(rng):
    found = SearchSpace(space(a=("Int", 1, 120), b=("Int", 1, 100)))
    every = [found.key(point) for point in found.grid(120)]
    assert len(every) == 12_000 and not found.few
    assert found.key(found.untried(set(every[:-1]), rng)) == every[-1]
    assert found.untried(set(every), rng) is None


def test_a_large_space_under_conditions_can_be_small():
    hp = space(kind=("Choice", ["a", "b", "c"]))
    for kind in "abc":
        with hp.conditional_scope("kind", [kind]):
            hp.Int(f"n{kind}", 1, 100)
    assert len(SearchSpace(hp).few) == 300


def test_points_by_hand_are_completed():
    found = SearchSpace(nested())
    assert found.check({"net": "cnn", "size": 140}, "initial_points") == {
        "net": "cnn",
        "size": 140,
        "filters": 4,
        "version": 3,
    }


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"nett": "cnn"}, r"name hyperparameters of the search space: \["),
        ({"net": "rnn"}, "give 'net' a value that is one of"),
        ({"net": "cnn", "size": 3}, r"give 'size' a value that is in \[100"),
        ({"net": "cnn", "norm": True}, "the conditions of 'norm' do not hold"),
    ],
)
def test_points_by_hand_are_checked(point, message):
    with pytest.raises(ValueError, match=message) as error:
        SearchSpace(nested()).check(point, "initial_points")
    assert str(error.value).startswith("Argument `initial_points` m")
    assert "Received: initial_points={" in str(error.value)


def test_values_of_another_space_are_adopted_where_they_fit():
    found = SearchSpace(nested())
    other = {"net": "mlp", "size": 120, "norm": True, "rate": 0.1}
    assert found.adopt(other) == {
        "net": "mlp",
        "size": 1,
        "norm": True,
        "momentum": 0.5,
        "version": 3,
    }
    assert np.isnan(found.encode(other)).sum() == len(found.searchable) - 2


def test_missing_values_count_as_defaults():
    found = SearchSpace(cells())
    assert found.key({"a": 1}) == found.key({"a": 1, "b": "b0"})
    assert found.key({"a": 1}) != found.key({"a": 1, "b": "b1"})


def test_an_empty_space_is_empty():
    found = SearchSpace(keras_tuner.HyperParameters())
    assert found.dimensions == found.searchable == ()
    assert list(found.grid()) == [{}]
