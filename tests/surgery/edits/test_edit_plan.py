from types import SimpleNamespace

import numpy as np
import pytest

from keras_netopt.surgery.coupled_axis import IN, OUT, PASS, CoupledAxis
from keras_netopt.surgery.edits.edit_plan import EditPlan


def variable(*shape):
    return SimpleNamespace(shape=shape, name="v")


def graph_of(*coupled_axes, groups=None):
    """Each unit is a group unless `groups` is given."""
    count = 1 + max(int(b.ids.max()) for b in coupled_axes)
    group_of = np.arange(count) if groups is None else np.array(groups)
    return SimpleNamespace(coupled_axes=coupled_axes, group_of=group_of)


@pytest.fixture
def pair():
    """A kernel (2, 3) that makes three units, and one (3, 2) that reads."""
    maker, reader = variable(2, 3), variable(3, 2)
    ids = np.arange(3)
    return graph_of(
        CoupledAxis(None, maker, 1, ids, OUT),
        CoupledAxis(None, reader, 0, ids, IN),
    )


def kernels(graph):
    return [coupled_axis.variable for coupled_axis in graph.coupled_axes]


MAKES = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
READS = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])


def test_removed_units_leave_both_kernels(pair):
    plan, (maker, reader) = EditPlan(pair, np.array([1, 0, 1])), kernels(pair)
    np.testing.assert_array_equal(
        plan.map(maker, MAKES, "weight"), [[1, 3], [4, 6]]
    )
    np.testing.assert_array_equal(
        plan.map(reader, READS, "weight"), [[1, 10], [3, 30]]
    )
    assert plan.shape(maker) == (2, 2) and plan.shape(reader) == (2, 2)


def test_replicas_are_adjacent_and_share_outgoing_weights(pair):
    shares = {1: np.array([0.25, 0.75])}
    plan = EditPlan(pair, np.array([1, 2, 1]), shares=shares)
    maker, reader = kernels(pair)
    np.testing.assert_array_equal(
        plan.map(maker, MAKES, "weight"), [[1, 2, 2, 3], [4, 5, 5, 6]]
    )
    np.testing.assert_array_equal(
        plan.map(reader, READS, "weight"),
        [[1, 10], [0.5, 5], [1.5, 15], [3, 30]],
    )


def test_shares_are_equal_by_default(pair):
    plan = EditPlan(pair, np.array([1, 1, 4]))
    new = plan.map(kernels(pair)[1], READS, "weight")
    np.testing.assert_array_equal(new[2:], [[0.75, 7.5]] * 4)


@pytest.mark.parametrize(
    ("kind", "makes", "reads"),
    [
        ("gradient", [2 * 0.25, 2 * 0.75], [1, 1]),
        ("gradient2", [2 * 0.0625, 2 * 0.5625], [1, 1]),
        ("update", [2, 2], [1, 1]),
    ],
)
def test_slots_follow_the_chain_rule(pair, kind, makes, reads):
    shares = {1: np.array([0.25, 0.75])}
    plan = EditPlan(pair, np.array([1, 2, 1]), shares=shares)
    maker, reader = kernels(pair)
    new = plan.map(maker, np.full((2, 3), 2.0), kind)
    np.testing.assert_allclose(new[0], [2, *makes, 2])
    new = plan.map(reader, np.ones((3, 2)), kind)
    np.testing.assert_allclose(new[:, 0], [1, *reads, 1])


def test_masks_are_copied_and_new_units_are_kept(pair):
    new_numbers = {1: np.array([-1, 0])}
    plan = EditPlan(pair, np.array([1, 2, 2]), new_numbers=new_numbers)
    mask = np.array([[True, False, False], [True, True, False]])
    np.testing.assert_array_equal(
        plan.map(kernels(pair)[0], mask, "index"),
        [[True, False, True, False, False], [True, True, True, False, False]],
    )


def test_new_units_have_zero_outgoing_and_nonzero_incoming_weights(pair):
    plan = EditPlan(
        pair, np.array([1, 2, 1]), new_numbers={1: np.array([-1, 0])}
    )
    maker, reader = kernels(pair)
    reads = plan.map(reader, READS, "weight")
    np.testing.assert_array_equal(reads[[0, 1, 3]], READS)
    np.testing.assert_array_equal(reads[2], 0)
    makes = plan.map(maker, MAKES, "weight")
    np.testing.assert_array_equal(makes[:, [0, 1, 3]], MAKES)
    assert (makes[:, 2] != 0).all()


def test_new_weights_have_the_scale_of_the_old_ones():
    maker, ids = variable(400, 2), np.arange(2)
    graph = graph_of(CoupledAxis(None, maker, 1, ids, OUT))
    plan = EditPlan(graph, np.array([1, 2]), new_numbers={1: np.array([-1, 0])})
    old = np.random.default_rng(0).normal(0, 7.0, (400, 2))
    new = plan.map(maker, old, "weight")[:, 2]
    assert 6 < np.sqrt(np.mean(new**2)) < 8


def test_weights_that_are_all_zero_still_get_new_ones(pair):
    plan = EditPlan(
        pair, np.array([1, 2, 1]), new_numbers={1: np.array([-1, 0])}
    )
    new = plan.map(kernels(pair)[0], np.zeros((2, 3)), "weight")
    assert (new[:, 2] != 0).all()


def test_pairs_share_incoming_weights_and_cancel_out(pair):
    plan = EditPlan(
        pair,
        np.array([1, 3, 1]),
        new_numbers={1: np.array([-1, 0, 0])},
        shares={1: np.array([1.0, 1.0, -1.0])},
        outgoing=lambda positions, old: positions.sample_slices(
            lambda n: np.full((n, 2), 5.0)
        ),
    )
    maker, reader = kernels(pair)
    makes = plan.map(maker, MAKES, "weight")
    np.testing.assert_array_equal(makes[:, 2], makes[:, 3])
    reads = plan.map(reader, READS, "weight")
    np.testing.assert_array_equal(reads[2:4], [[5, 5], [-5, -5]])


def test_an_average_of_a_weight_gets_the_same_new_values(pair):
    plan = EditPlan(
        pair, np.array([1, 2, 1]), new_numbers={1: np.array([-1, 0])}
    )
    maker = kernels(pair)[0]
    weight = plan.map(maker, MAKES, "weight")
    average = plan.map(maker, 3 * MAKES, "weight")
    np.testing.assert_array_equal(weight[:, 2], average[:, 2])
    np.testing.assert_array_equal(average[:, 1], 3 * MAKES[:, 1])


@pytest.mark.parametrize("kind", ["gradient", "gradient2", "update"])
def test_slots_of_new_units_are_zero(pair, kind):
    plan = EditPlan(
        pair, np.array([1, 2, 1]), new_numbers={1: np.array([-1, 0])}
    )
    maker = kernels(pair)[0]
    new = plan.map(maker, MAKES, kind)
    np.testing.assert_array_equal(new[:, 2], [0, 0])
    np.testing.assert_array_equal(new[:, [0, 1, 3]], MAKES)


def test_gates_have_separate_means():
    bias = variable(4)
    ids = np.tile(np.arange(2), 2)
    graph = graph_of(CoupledAxis(None, bias, 0, ids, OUT, "mean"))
    plan = EditPlan(graph, np.array([1, 2]), new_numbers={1: np.array([-1, 0])})
    new = plan.map(bias, np.array([1.0, 3.0, 10.0, 30.0]), "weight")
    np.testing.assert_array_equal(new, [1, 3, 2, 10, 30, 20])


@pytest.mark.parametrize(("fresh", "value"), [("ones", 1.0), ("zeros", 0.0)])
def test_per_channel_parameters_start_neutral(fresh, value):
    gamma = variable(2)
    graph = graph_of(CoupledAxis(None, gamma, 0, np.arange(2), PASS, fresh))
    plan = EditPlan(graph, np.array([2, 1]), new_numbers={0: np.array([-1, 0])})
    new = plan.map(gamma, np.array([5.0, 7.0]), "weight")
    np.testing.assert_array_equal(new, [5, value, 7])


def test_a_recurrent_kernel_has_zero_weights_for_new_units():
    kernel, ids = variable(2, 2), np.arange(2)
    graph = graph_of(
        CoupledAxis(None, kernel, 0, ids, IN),
        CoupledAxis(None, kernel, 1, ids, OUT),
    )
    plan = EditPlan(graph, np.array([1, 2]), new_numbers={1: np.array([-1, 0])})
    new = plan.map(kernel, np.array([[1.0, 2.0], [3.0, 4.0]]), "weight")
    np.testing.assert_array_equal(new[2], 0)
    assert (new[:2, 2] != 0).all()


def test_attention_keeps_its_temperature():
    kernel = variable(2, 2)
    graph = graph_of(CoupledAxis(None, kernel, 1, np.arange(2), OUT, power=0.5))
    plan = EditPlan(graph, np.array([4, 4]))
    new = plan.map(kernel, np.ones((2, 2)), "weight")
    np.testing.assert_array_equal(new, np.full((2, 8), 2.0))
    new = plan.map(kernel, np.ones((2, 2)), "gradient")
    np.testing.assert_allclose(new, np.full((2, 8), 0.25 / 2))


def test_added_arrays_are_added_to_the_weights(pair):
    maker, reader = kernels(pair)
    added = {id(reader): np.full((3, 2), 0.5)}
    plan = EditPlan(pair, np.ones(3, int), added=added)
    assert plan.changes(reader) and not plan.changes(maker)
    np.testing.assert_array_equal(
        plan.map(reader, READS, "weight"), READS + 0.5
    )
    np.testing.assert_array_equal(plan.map(reader, READS, "gradient"), READS)


def test_other_variables_are_returned_unchanged(pair):
    other = np.ones(3)
    assert (
        EditPlan(pair, np.array([1, 0, 1])).map(variable(3), other, "x")
        is other
    )


def test_unknown_kinds_raise(pair):
    plan = EditPlan(pair, np.array([1, 2, 1]))
    with pytest.raises(ValueError, match="Received: kind='momentum'$"):
        plan.map(kernels(pair)[0], MAKES, "momentum")


def test_the_same_seed_gives_the_same_weights(pair):
    def weights(seed):
        new_numbers = {1: np.array([-1, 0])}
        plan = EditPlan(
            pair, np.array([1, 2, 1]), new_numbers=new_numbers, seed=seed
        )
        return plan.map(kernels(pair)[0], MAKES, "weight")

    np.testing.assert_array_equal(weights(3), weights(3))
    assert (weights(3) != weights(4)).any()
