import numpy as np
import pytest
from keras import layers, ops

from keras_netopt.layers import LayerDrop


def to_numpy(tensor):
    return np.array(ops.convert_to_numpy(ops.stop_gradient(tensor)))


def blocks(count=3):
    return [layers.Dense(4) for _ in range(count)]


def test_inference_runs_every_block(x):
    for residual in (False, True):
        stack = blocks()
        found = to_numpy(LayerDrop(stack, 0.9, residual=residual)(x))
        expected = x
        for block in stack:
            added = to_numpy(block(expected))
            expected = expected + added if residual else added

        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_rates_0_and_1_are_exact(x):
    stack = blocks()
    layer = LayerDrop(stack, 1.0)

    np.testing.assert_array_equal(to_numpy(layer(x, training=True)), x)
    layer.rate.assign(0.0)
    np.testing.assert_array_equal(
        to_numpy(layer(x, training=True)), to_numpy(layer(x))
    )


def test_blocks_are_dropped_independently():
    layer = LayerDrop([layers.Rescaling(2.0) for _ in range(3)], 0.4, seed=1)
    layer.build((1, 1))
    kept = np.array(
        [to_numpy(layer.sample_keep_mask(layer.rate, 3)) for _ in range(150)]
    )

    assert len({tuple(row) for row in kept}) == 8
    sigma = np.sqrt(0.4 * 0.6 / 150)
    assert (np.abs((~kept).mean(axis=0) - 0.4) < 3 * sigma).all()
    one = np.ones((1, 1), "float32")
    seen = {int(layer(one, training=True)[0, 0]) for _ in range(8)}
    assert len(seen) > 1 and seen <= {1, 2, 4, 8}


def test_dropped_blocks_keep_their_state(make_block, train, values, x):
    stack = [make_block(), make_block()]
    layer = LayerDrop(stack, 1.0, residual=True)
    layer.build((None, 4))
    before = [values(block) for block in stack]
    model, _ = train(layer, x)
    for block, old in zip(stack, before, strict=True):
        for a, b in zip(old, values(block), strict=True):
            np.testing.assert_array_equal(a, b)
    layer.rate.assign(0.0)
    model.fit(x, np.ones((16, 1)), batch_size=4, verbose=0)

    for block, old in zip(stack, before, strict=True):
        assert not any(map(np.array_equal, old, values(block)))


def test_a_block_that_changes_the_shape_is_refused():
    with pytest.raises(ValueError, match=r"of shape \(2, 4\) and outputs"):
        LayerDrop([layers.Dense(4), layers.Dense(5)])(np.zeros((2, 4)))


def test_an_empty_stack_is_refused():
    with pytest.raises(
        TypeError, match="at least one Keras layer. Received: b"
    ):
        LayerDrop([])
