import math

import keras_tuner
import numpy as np
import pytest

from keras_netopt.search.search_dimension import SearchDimension

pytestmark = pytest.mark.no_backend

LAST = math.nextafter(1.0, 0.0)


def one(kind, *arguments, **options):
    hp = keras_tuner.HyperParameters()
    getattr(hp, kind)("it", *arguments, **options)
    return SearchDimension(hp.space[0])


FINITE = {
    "int": one("Int", 3, 9),
    "int step": one("Int", 3, 14, step=4),
    "int log": one("Int", 2, 40, sampling="log"),
    "int reverse log": one("Int", 2, 40, sampling="reverse_log"),
    "int log step": one("Int", 2, 64, step=2, sampling="log"),
    "float step": one("Float", 0.1, 0.9, step=0.1),
    "float log step": one("Float", 1e-4, 1.0, step=10, sampling="log"),
    "float reverse step": one(
        "Float", 1.0, 8.0, step=2, sampling="reverse_log"
    ),
    "ordered": one("Choice", [16, 32, 64]),
    "unordered": one("Choice", ["a", "b", "c", "d"]),
    "boolean": one("Boolean"),
}


@pytest.mark.parametrize("dimension", FINITE.values(), ids=FINITE)
def test_values_and_places_agree(dimension):
    values = list(dimension.grid(100))
    assert len(values) == len(set(values)) == dimension.size
    places = [dimension.unit(value) for value in values]
    assert all(0.0 < place < 1.0 for place in places)
    assert [dimension.value(place) for place in places] == values
    assert [dimension.check(value) for value in values] == values
    assert len({dimension.code(value) for value in values}) == dimension.size


@pytest.mark.parametrize("dimension", FINITE.values(), ids=FINITE)
def test_bins_hold_what_is_drawn_in_them(dimension):
    axis = dimension.domain
    assert axis.size == dimension.size
    if axis.kind == "ordered":
        assert axis.edges[0] == pytest.approx(0.0)
        assert axis.edges[-1] == pytest.approx(1.0)
        assert (np.diff(axis.edges) > 0).all()
    for value in dimension.grid(100):
        index = axis.bins(np.array([dimension.unit(value)]))[0]
        assert dimension.value(float(axis.center(index))) == value


@pytest.mark.parametrize("dimension", FINITE.values(), ids=FINITE)
def test_draws_are_those_of_keras_tuner(dimension):
    rng = np.random.default_rng(0)
    for unit in [0.0, 0.999, *rng.random(50)]:
        value = dimension.value(unit)
        assert value == dimension.hp.prob_to_value(unit)
    assert dimension.value(1.0) == dimension.value(LAST)
    assert dimension.value(1.0) == dimension.value(0.999)


@pytest.mark.parametrize("dimension", FINITE.values(), ids=FINITE)
def test_mutations_change_and_stay_in_range(dimension):
    rng = np.random.default_rng(0)
    values = list(dimension.grid(100))
    for value in values:
        found = {dimension.mutate(value, rng) for _ in range(200)}
        assert value not in found
        assert found <= set(values)
        assert len(found) > 1 or dimension.size == 2


def test_numbers_move_to_near_ones_mostly():
    rng = np.random.default_rng(0)
    dimension = one("Float", 0.0, 1.0)
    found = np.array([dimension.mutate(0.5, rng) for _ in range(1000)])
    assert 0.7 < (np.abs(found - 0.5) < 0.25).mean() < 0.95


def test_ends_of_a_range_are_kept():
    dimension = one("Float", 1e-4, 1e-2, sampling="log")
    assert dimension.value(0.0) == 1e-4
    assert dimension.value(1.0) <= 1e-2
    assert dimension.value(1.0) == pytest.approx(1e-2)
    assert one("Int", 1, 1000, sampling="log").value(1.0) == 1000
    assert dimension.size is None
    assert dimension.domain.kind == "continuous"


def test_a_step_that_floats_cannot_hold_keeps_its_index():
    dimension = one("Float", 0.0, 0.7, step=0.1)
    for index, value in enumerate(dimension.grid(10)):
        assert dimension.code(value) == index


def test_grids_of_ranges():
    rates = one("Float", 1e-4, 1e-2, sampling="log")
    assert list(rates.grid(3)) == pytest.approx([1e-4, 1e-3, 1e-2])
    assert [*rates.grid(2)] == [1e-4, 1e-2]
    assert list(rates.grid(1)) == pytest.approx([1e-3])
    assert list(one("Int", 1, 3, sampling="log").grid(10)) == [1, 2, 3]
    counts = list(one("Int", 1, 1000, sampling="log").grid(4))
    assert counts[0] == 1 and counts[-1] == 1000 and len(counts) == 4
    assert list(one("Int", 0, 3).grid(2)) == [0, 1, 2, 3]
    assert list(one("Boolean").grid(10)) == [False, True]
    falling = one("Float", 1.0, 8.0, step=2, sampling="reverse_log")
    assert list(falling.grid(10)) == sorted(falling.grid(10))


def test_one_value_is_nothing_to_search():
    for dimension in (
        one("Fixed", 3),
        one("Choice", ["a"]),
        one("Int", 3, 3),
        one("Float", 0.5, 0.5, step=0.1),
    ):
        assert dimension.size == 1
        assert dimension.value(0.7) == dimension.hp.default
        assert dimension.code(dimension.hp.default) == 0


@pytest.mark.parametrize(
    ("dimension", "value", "message"),
    [
        (one("Int", 1, 9), 10, r"in \[1, 9\]"),
        (one("Int", 1, 9), 2.5, "an integer"),
        (one("Int", 1, 9), "two", "a number in"),
        (one("Int", 1, 9), True, "a number in"),
        (one("Int", 1, 9, step=4), 3, "on the step of 4"),
        (one("Float", 0.0, 1.0), float("nan"), "in"),
        (one("Choice", ["a", "b"]), "c", r"one of \['a', 'b'\]"),
        (one("Boolean"), 1, "one of"),
    ],
)
def test_values_of_another_space_are_refused(dimension, value, message):
    with pytest.raises(ValueError, match=message):
        dimension.check(value)


def test_values_are_made_canonical():
    assert one("Int", 1, 9).check(2.0) == 2
    assert type(one("Int", 1, 9).check(np.int64(2))) is int
    assert one("Float", 0.0, 1.0, step=0.1).check(0.3) == pytest.approx(0.3)
    assert type(one("Float", 0.0, 1.0).check(1)) is float
