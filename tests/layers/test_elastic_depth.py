import keras
import numpy as np
import pytest
from keras import layers
from search.supernet.elastic_net import norm, to_numpy

from keras_netopt.layers import ElasticDense, ElasticDepth
from keras_netopt.search.supernet.searchable_layer import find_decisions


def dense_blocks(count=3):
    return [layers.Dense(4, name=f"block{k}") for k in range(count)]


def test_depth_d_runs_the_first_d_blocks(x):
    for residual in (False, True):
        blocks = dense_blocks()
        stack = ElasticDepth(blocks, (0, 1, 3), residual=residual)
        stack(x)
        for index, depth in enumerate((0, 1, 3)):
            stack.decisions()[0].fix(index)
            expected = x
            for block in blocks[:depth]:
                added = to_numpy(block(expected))
                expected = expected + added if residual else added

            for training in (False, True):
                found = to_numpy(stack(x, training=training))
                np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_skipped_block_keeps_its_weights_and_state(train, values, x):
    blocks = [
        keras.Sequential([layers.Dense(4), norm()], name=f"b{k}")
        for k in range(2)
    ]
    stack = ElasticDepth(blocks)
    stack.build((None, 4))
    stack.decisions()[0].fix(0)
    before = [values(block) for block in blocks]
    train(stack, x)

    for old, new in zip(before[1], values(blocks[1]), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not any(map(np.array_equal, before[0], values(blocks[0])))


def test_decisions_of_skipped_blocks_stay_in_step(train, x):
    """Otherwise "sandwich" would mix the largest and smallest networks."""
    blocks = [
        ElasticDense(4, (2, 4), name=f"b{k}", sampling="sandwich")
        for k in range(3)
    ]
    stack = ElasticDepth(blocks, sampling="sandwich", name="stack")
    train(stack, x, epochs=2)
    decisions = find_decisions(stack)

    assert {int(d.draws) for d in decisions.values()} == {8}
    assert len(decisions) == 4


def test_inference_writes_nothing(x):
    stack = ElasticDepth([ElasticDense(4, (2, 4), sampling="uniform")], (0, 1))
    stack.build((None, 4))
    stack.decisions()[0].set_mode("uniform")
    before = [to_numpy(v) for v in stack.variables]
    stack(x)

    for old, variable in zip(before, stack.variables, strict=True):
        np.testing.assert_array_equal(old, to_numpy(variable))


def test_execution_rates_follow_the_sampling():
    stack = ElasticDepth(dense_blocks(4), (1, 2, 4))
    stack.build((None, 4))
    (decision,) = stack.decisions()

    def rates(training):
        found = stack.netopt_execution_rates(training)
        return [found[id(block)] for block in stack.blocks]

    assert rates(True) == [1.0, 1.0, 1.0, 1.0]
    decision.fix(1)
    assert rates(True) == rates(False) == [1.0, 1.0, 0.0, 0.0]
    decision.set_mode("uniform")
    np.testing.assert_allclose(rates(True), [1, 2 / 3, 1 / 3, 1 / 3])
    decision.set_mode("sandwich")
    np.testing.assert_allclose(
        rates(True), [1, 7 / 12, 5 / 12, 5 / 12], atol=1e-6
    )
    decision.enable([2])
    assert rates(True) == [1.0] * 4


def test_a_block_that_changes_the_shape_is_refused():
    with pytest.raises(ValueError, match=r"`blocks` of ElasticDepth must have"):
        ElasticDepth([layers.Dense(4), layers.Dense(5)])(np.zeros((2, 4)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depths": (1, 2)}, "`depths` must end with 3, the value of `len"),
        ({"depths": (3,)}, "`depths` must hold at least two"),
        ({"depths": (2, 1, 3)}, "`depths` must be in ascending order"),
    ],
)
def test_bad_depths_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ElasticDepth(dense_blocks(), **arguments)


def test_a_block_that_is_listed_twice_is_refused():
    block = layers.Dense(4)
    with pytest.raises(ValueError, match="different layers, each of them once"):
        ElasticDepth([block, block])
