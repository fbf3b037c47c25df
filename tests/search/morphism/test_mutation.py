"""Mutations of each kind: what they change, and what they leave alone."""

import keras
import numpy as np
import pytest
from search.morphism import networks

from keras_netopt.search.morphism.child_files import PARENT, ChildFiles
from keras_netopt.search.morphism.mutation import OPERATIONS, Mutation
from keras_netopt.search.morphism.mutation_space import MutationSpace
from keras_netopt.surgery.cutting.remove_block import list_blocks, remove_block


def space(**options):
    return MutationSpace(OPERATIONS, (1.5, 2.0), 2, **options)


@pytest.fixture(scope="module")
def cnn(tmp_path_factory):
    """A trained network with a block, its files and its outputs."""
    parent = networks.build_cnn()
    Mutation("deepen", "conv0").apply(parent)
    parent.fit(networks.IMAGES, np.ones((4, 1)), batch_size=2, verbose=0)
    files = ChildFiles(tmp_path_factory.mktemp("cnn"), parent, None)
    files.save(parent, PARENT)
    outputs = keras.ops.convert_to_numpy(parent(networks.IMAGES))
    return parent, files, outputs


def test_growing_keeps_the_outputs_and_the_optimizer(cnn):
    parent, files, outputs = cnn
    before = networks.state(parent)
    for mutation in (
        Mutation("widen", "conv1", factor=1.5),
        Mutation("deepen", "conv1"),
        Mutation("deepen", "conv0_deeper1_add"),
    ):
        child = files.load(PARENT)
        space().apply(child, mutation, data=networks.IMAGES)
        found = keras.ops.convert_to_numpy(child(networks.IMAGES))
        np.testing.assert_allclose(found, outputs, atol=1e-5)
        assert child.count_params() > parent.count_params()
        assert int(child.optimizer.iterations) == 2
        slots = [v for v in networks.state(child)[-9:] if v.size > 1]
        assert any(np.any(one) for one in slots)
    assert networks.same(networks.state(parent), before)


def test_narrowing_removes_units_down_to_the_smallest_width(cnn):
    _, files, _ = cnn
    child = files.load(PARENT)
    mutation = Mutation("narrow", "conv1", factor=1.5)
    space().apply(child, mutation)
    assert child.get_layer("conv1").filters == 4
    narrow = MutationSpace(("narrow",), (1.5,), 4)
    with pytest.raises(ValueError, match="min_channels"):
        narrow.apply(child, mutation)


def test_a_removed_block_leaves_the_optimizer_of_the_others(cnn):
    parent, files, _ = cnn
    assert list_blocks(parent) == ["conv0_deeper1_add"]
    child = files.load(
        PARENT,
        rebuild=lambda one: Mutation("remove_block", "conv0_deeper1_add").apply(
            one
        ),
    )
    assert list_blocks(child) == []
    assert int(child.optimizer.iterations) == 2
    kernel = child.get_layer("conv1").kernel
    twin = parent.get_layer("conv1").kernel
    pairs = (kernel, twin), (_slot(child, kernel), _slot(parent, twin))
    for one, other in pairs:
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other)
        )
    child.fit(networks.IMAGES, np.ones((4, 1)), verbose=0)


def _slot(model, variable):
    from keras_netopt.training.optimizers import find_slots

    found = find_slots(model.optimizer, variable)[0]
    assert np.any(keras.ops.convert_to_numpy(found))
    return found


def test_deepening_and_removing_are_inverse_in_sequential_models():
    parent = networks.build_sequential()
    before = keras.ops.convert_to_numpy(parent(networks.X))
    assert list_blocks(parent) == []
    Mutation("deepen", "one").apply(parent)
    assert list_blocks(parent) == ["one_deeper1"]
    shorter = remove_block(parent, "one_deeper1")
    assert [one.name for one in shorter.layers] == ["one", "out"]
    after = keras.ops.convert_to_numpy(shorter(networks.X))
    np.testing.assert_array_equal(after, before)
    with pytest.raises(ValueError, match="Received: name='one'"):
        remove_block(parent, "one")


def test_every_drawn_mutation_is_drawn_once_and_operations_are_balanced(cnn):
    parent, _, _ = cnn
    rng = np.random.default_rng(0)
    drawn = list(space().draw(parent, rng))
    assert len(drawn) == len(set(drawn))
    assert {one.operation for one in drawn} == set(OPERATIONS)
    firsts = [
        next(space().draw(parent, np.random.default_rng(k))).operation
        for k in range(80)
    ]
    assert all(firsts.count(one) > 8 for one in OPERATIONS)


def test_selectors_choose_layers_of_parent_and_children(cnn):
    parent, files, _ = cnn
    child = files.load(PARENT)
    chosen = space(include=[parent.get_layer("conv1")])
    for model in (parent, child):
        found = chosen.list_targets(model)
        assert [one.layer for one in found["widen"]] == ["conv1"]
        assert found["remove_block"] == []
    kept = space(exclude="conv1").list_targets(parent)
    assert "conv1" not in [one.layer for one in kept["deepen"]]
    with pytest.raises(ValueError, match="include"):
        space(include="nothing").check_selectors(parent)


def test_reasons_are_listed_and_nothing_changes(cnn):
    parent, _, _ = cnn
    before = networks.state(parent)
    report = space().explain(parent)
    assert ("widen", "conv1") in report.possible
    assert ("remove_block", "conv0_deeper1_add") in report.possible
    reasons = {(a, b): reason for a, b, reason in report.rows}
    assert "output" in reasons["widen", "out"]
    assert "output" in reasons["deepen", "out"]
    assert "conv1" in str(report)
    assert networks.same(networks.state(parent), before)
