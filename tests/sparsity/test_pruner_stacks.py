"""Stacks of kernels, such as those of experts: one matrix for each."""

import keras
import numpy as np
import pytest
from sparsity.mask_tools import count_zeros

from keras_netopt.sparsity import (
    Block,
    KernelView,
    Pruner,
    WeightTarget,
)
from keras_netopt.sparsity.allocation import layer_sparsities

pytestmark = pytest.mark.no_backend

EXPERTS, ROWS, COLUMNS = 3, 4, 6


class Experts(keras.layers.Layer):
    def build(self, input_shape):
        shape = (EXPERTS, ROWS, COLUMNS)
        self.kernel = self.add_weight(name="experts", shape=shape)


@pytest.fixture
def stack():
    """A target of three matrices, the second with small, the third with
    large values."""
    layer = Experts()
    layer.build((None, ROWS))
    view = KernelView.of(layer.kernel, layer)
    rng = np.random.default_rng(0)
    scale = np.array([1.0, 0.1, 10.0])[:, None, None]
    weight = scale * rng.uniform(1, 2, (EXPERTS, ROWS, COLUMNS))
    return WeightTarget("experts", layer.kernel, layer, view), weight


def masks(stack, sparsity, **arguments):
    target, weight = stack
    (mask,) = Pruner.create(**arguments).compute_masks(
        sparsity, [target], [weight]
    )
    return mask


def test_the_view_is_a_row_of_matrices(stack):
    target, weight = stack
    view = target.view
    assert (view.fan_in, view.fan_out, view.run) == (ROWS, 18, ROWS)
    assert (view.stack, view.matrix_shape) == (EXPERTS, (ROWS, COLUMNS))
    matrix = view.to_2d(weight)
    np.testing.assert_array_equal(matrix, np.hstack(list(weight)))
    np.testing.assert_array_equal(view.from_2d(matrix), weight)


def test_an_einsum_over_a_shared_axis_is_a_stack():
    layer = keras.layers.EinsumDense("bed,def->bef", (EXPERTS, COLUMNS))
    layer.build((None, EXPERTS, ROWS))
    view = KernelView.of(layer.kernel, layer)
    assert (view.stack, view.matrix_shape) == (EXPERTS, (ROWS, COLUMNS))
    kernel = np.arange(72).reshape(ROWS, EXPERTS, COLUMNS)
    np.testing.assert_array_equal(view.to_2d(kernel)[:, :COLUMNS], kernel[:, 0])


@pytest.mark.parametrize("allocation", ["uniform", "erk", "er"])
def test_every_matrix_loses_an_equal_part(stack, allocation):
    mask = masks(stack, 0.55, allocation=allocation)
    zeros = (~mask).sum(axis=(1, 2))
    assert zeros.sum() == round(0.55 * mask.size)
    assert zeros.max() - zeros.min() <= 1


def test_one_threshold_leaves_each_matrix_a_weight(stack):
    mask = masks(stack, 0.66, allocation="global", min_kept=2)
    assert (~mask).sum() == round(0.66 * mask.size)
    assert mask.sum(axis=(1, 2)).tolist() == [2, 2, 20]


@pytest.mark.parametrize("allocation", ["uniform", "global"])
def test_runs_lie_along_the_input_of_each_matrix(stack, allocation):
    mask = masks(stack, 0.5, pattern="2:4", allocation=allocation)
    assert (mask.sum(axis=1) == 2).all()


@pytest.mark.parametrize("allocation", ["uniform", "global"])
def test_blocks_stay_within_a_matrix(stack, allocation):
    pattern = Block(2, 4)  # The second block of a row has two columns.
    mask = masks(stack, 0.5, pattern=pattern, allocation=allocation)
    for matrix in mask:
        for rows in (matrix[:2], matrix[2:]):
            for block in (rows[:, :4], rows[:, 4:]):
                assert block.all() or not block.any()


def test_channels_are_the_outputs_of_one_matrix(stack):
    mask = masks(stack, 0.5, pattern="channel", allocation="uniform")
    columns = mask.any(axis=1)
    assert (mask.all(axis=1) == columns).all()
    assert columns.sum(axis=1).tolist() == [3, 3, 3]


def test_masks_are_nested(stack):
    target, weight = stack
    pruner, before = Pruner.create(allocation="uniform"), None
    for sparsity in (0.2, 0.5, 0.8):
        previous = None if before is None else [before]
        (mask,) = pruner.compute_masks(
            sparsity, [target], [weight], previous=previous
        )
        assert before is None or not (mask & ~before).any()
        before = mask
    assert count_zeros([before]) == [round(0.8 * weight.size)]


def test_a_stack_is_allocated_as_its_matrices(stack):
    view = stack[0].view
    single = KernelView((ROWS, COLUMNS), (0,), (1,), ROWS)
    dense = KernelView((40, 60), (0,), (1,), 40)
    for rule in ("erk", "er"):
        together = layer_sparsities(rule, [view, dense], 0.7)
        apart = layer_sparsities(rule, [single] * EXPERTS + [dense], 0.7)
        np.testing.assert_allclose(together, apart[[0, -1]])
