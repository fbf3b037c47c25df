import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_netopt.layers import StochasticDepth


def to_numpy(tensor):
    return np.array(ops.convert_to_numpy(ops.stop_gradient(tensor)))


def dense(**arguments):
    return layers.Dense(4, kernel_initializer="orthogonal", **arguments)


@pytest.mark.parametrize("mode", ["sample", "batch"])
@pytest.mark.parametrize("scale", ["train", "inference", None])
def test_rates_0_and_1_are_exact(mode, scale, x):
    for residual in (True, False):
        for rate in (0.0, 1.0):
            block = dense()
            layer = StochasticDepth(
                block, rate, mode=mode, scale=scale, residual=residual
            )
            added = to_numpy(layer(x, training=True))
            branch = to_numpy(block(x))
            whole = x + branch if residual else branch

            np.testing.assert_array_equal(added, whole if rate == 0 else x)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_inference_runs_every_block(rate, x):
    block = dense()
    for scale, share in (("train", 1.0), ("inference", 1.0 - rate), (None, 1)):
        layer = StochasticDepth(block, rate, scale=scale)
        found = to_numpy(layer(x))
        expected = x + np.float32(share) * to_numpy(block(x))
        if scale == "inference":
            np.testing.assert_allclose(found, expected, atol=1e-6)
        else:
            np.testing.assert_array_equal(found, expected)


def test_only_the_branch_of_a_block_with_a_skip_is_scaled(x):
    whole = keras.Sequential([dense()])
    layer = StochasticDepth(whole, 0.25, scale="inference", residual=False)
    expected = x + 0.75 * (to_numpy(whole(x)) - x)

    np.testing.assert_allclose(to_numpy(layer(x)), expected, atol=1e-6)


def test_samples_are_dropped_at_the_rate():
    """2000 samples; their mean is the inference output."""
    x = np.ones((2000, 1), "float32")
    layer = StochasticDepth(layers.Identity(), 0.3, seed=5)
    found = to_numpy(layer(x, training=True))
    kept = found != 1.0

    assert abs((~kept).mean() - 0.3) < 3 * np.sqrt(0.3 * 0.7 / 2000)
    np.testing.assert_allclose(found[kept], 1 + 1 / 0.7, rtol=1e-6)
    sigma = np.sqrt(0.3 / 0.7 / 2000)
    assert abs(found.mean() - to_numpy(layer(x)).mean()) < 3 * sigma


def test_steps_are_dropped_at_the_rate():
    layer = StochasticDepth(layers.Identity(), 0.3, mode="batch", seed=5)
    layer.build((1, 1))
    array = keras.ops.convert_to_numpy
    kept = np.array(
        [array(layer.sample_keep_mask(layer.rate, 1))[0] for _ in range(100)]
    )

    assert abs((~kept).mean() - 0.3) < 3 * np.sqrt(0.3 * 0.7 / 100)
    assert abs(np.corrcoef(kept[1:], kept[:-1])[0, 1]) < 3 / np.sqrt(100)
    x = np.ones((1, 1), "float32")
    seen = {round(float(layer(x, training=True)[0, 0]), 4) for _ in range(20)}
    assert seen == {1.0, round(1 + 1 / 0.7, 4)}


def test_each_sample_is_dropped_as_a_whole():
    x = np.ones((64, 3, 3, 2), "float32")
    layer = StochasticDepth(layers.Identity(), 0.5, scale=None, seed=1)
    found = to_numpy(layer(x, training=True)).reshape(64, -1)

    assert (found == found[:, :1]).all()
    assert set(found[:, 0]) == {1.0, 2.0}


def test_a_dropped_block_keeps_its_state(make_block, train, values, x):
    """Weights, moving statistics and seeds, in a compiled step."""
    block = make_block()
    layer = StochasticDepth(block, 1.0, mode="batch", seed=3)
    layer.build((None, 4))
    before = values(block)
    model, _ = train(layer, x)
    for rate in (1.0, 0.5, 0.0):
        layer.rate.assign(rate)
        model.fit(x, np.ones((16, 1)), batch_size=4, epochs=2, verbose=0)
        after = values(block)
        moved = [
            not np.array_equal(a, b) for a, b in zip(before, after, strict=True)
        ]

        assert len(moved) == 7
        assert moved == [rate < 1.0] * 7
        assert all(np.isfinite(value).all() for value in after)
        before = after


@pytest.mark.parametrize("eager", [False, True])
def test_dropped_blocks_have_zero_gradients(eager, train, x):
    """Weight decay applies, also on torch and in eager steps."""
    block = dense()
    model, _ = train(
        StochasticDepth(block, 1.0, mode="batch"),
        x,
        optimizer=keras.optimizers.AdamW(0.1, weight_decay=0.5),
        run_eagerly=eager,
    )
    fresh = to_numpy(block.kernel)
    model.optimizer.learning_rate = 0.01
    model.fit(x, np.ones((16, 1)), batch_size=16, verbose=0)

    np.testing.assert_allclose(
        to_numpy(block.kernel), fresh * (1 - 0.01 * 0.5), rtol=1e-5
    )


def test_losses_of_a_block_are_added_in_steps_that_run_it(train, x):
    """Activity regularizers and `add_loss` pass through the branch."""

    def loss(layer, **arguments):
        sgd = keras.optimizers.SGD(0.0)
        return train(layer, x[:4], optimizer=sgd, **arguments)[1][0]

    def regularized():
        return dense(bias_initializer="ones", activity_regularizer="l2")

    class Plain(layers.Layer):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def build(self, shape):
            self.inner.build(shape)

        def call(self, inputs):
            return inputs + self.inner(inputs)

    keras.utils.set_random_seed(1)
    plain = loss(Plain(regularized()), run_eagerly=True)
    keras.utils.set_random_seed(1)
    kept = loss(StochasticDepth(regularized(), 0.0, mode="batch"))
    keras.utils.set_random_seed(1)
    free = loss(
        StochasticDepth(dense(bias_initializer="ones"), 0.0), run_eagerly=True
    )
    keras.utils.set_random_seed(1)
    unregularized = loss(
        StochasticDepth(dense(), 1.0, mode="batch"), run_eagerly=True
    )
    keras.utils.set_random_seed(1)
    dropped = loss(StochasticDepth(regularized(), 1.0, mode="batch"))

    assert kept == pytest.approx(plain, rel=1e-5)
    assert kept > free + 0.01
    assert dropped == pytest.approx(unregularized, rel=1e-5)


def test_nested_branches_train(make_block, train, values, x):
    inner = StochasticDepth(make_block(), 0.0, mode="batch", seed=1)
    outer = StochasticDepth(
        keras.Sequential([dense(), inner]), 0.0, mode="batch", seed=2
    )
    outer.build((None, 4))
    before = values(outer)
    train(outer, x)
    still = [
        v.name
        for v, a, b in zip(outer.variables, before, values(outer), strict=True)
        if np.array_equal(a, b)
    ]

    assert still == ["rate", "rate"]


def test_layers_that_a_block_builds_late_are_built(train, x):
    class Late(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = layers.Dense(4)

        def call(self, inputs):
            return self.inner(inputs)

    layer = StochasticDepth(Late(), 0.5, mode="batch")
    layer.build((None, 4))

    assert [v.name for v in layer.trainable_variables] == ["kernel", "bias"]
    assert np.isfinite(train(layer, x)[1]).all()


@pytest.mark.parametrize("mode", ["sample", "batch"])
def test_half_precision_trains_without_nan(mode, make_block, train, x):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        layer = StochasticDepth(make_block(), 0.5, mode=mode, seed=1)
        _, loss = train(layer, x, run_eagerly=mode == "sample")
        assert np.isfinite(loss).all()
        assert layer.rate.dtype == "float32"
        for rate in (0.5, 1.0):
            layer.rate.assign(rate)
            found = layer(x, training=True)
            assert found.dtype == layer(x).dtype
            assert np.isfinite(to_numpy(found)).all()
    finally:
        keras.config.set_dtype_policy("float32")


def test_a_block_that_changes_the_shape_is_refused():
    layer = StochasticDepth(layers.Dense(5, name="wide"))
    with pytest.raises(ValueError) as error:
        layer(np.zeros((2, 4), "float32"))

    assert str(error.value) == (
        "Argument `block` of StochasticDepth must have one input and an "
        "output of the same shape, which can be added to it. "
        "Received: block='wide' with inputs of shape (2, 4) and outputs of "
        "shape (2, 5)"
    )


def test_the_config_rebuilds_the_layer(x):
    layer = StochasticDepth(
        dense(), 0.3, mode="batch", scale=None, residual=False, seed=4
    )
    again = StochasticDepth.from_config(layer.get_config())
    again(x)
    again.set_weights(layer.get_weights() or again.get_weights())
    layer(x)
    layer.set_weights(again.get_weights())

    assert again.get_config() == layer.get_config()
    np.testing.assert_array_equal(to_numpy(layer(x)), to_numpy(again(x)))


def test_files_store_the_rate_and_the_random_state(train, tmp_path, x):
    layer = StochasticDepth(dense(), 0.25, mode="batch", seed=4)
    model, _ = train(layer, x)
    layer.rate.assign(0.5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    histories = [
        one.fit(x, np.ones((16, 1)), batch_size=4, shuffle=False, verbose=0)
        for one in (model, loaded)
    ]

    assert float(loaded.layers[1].rate.value) == 0.5
    assert to_numpy(loaded.layers[1].random_state).tolist() == [4, 8]
    assert histories[0].history == histories[1].history
    for mine, theirs in zip(
        model.get_weights(), loaded.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.backend("tensorflow", "torch")  # JAX has no eager branch.
@pytest.mark.parametrize(("rate", "calls"), [(1.0, 0), (0.0, 3)])
def test_a_dropped_block_is_not_computed(rate, calls):
    class Counted(layers.Dense):
        count = 0

        def call(self, inputs):
            Counted.count += 1
            return super().call(inputs)

    block = Counted(4)
    layer = StochasticDepth(block, rate, mode="batch")
    x = np.ones((2, 4), "float32")
    layer.build(x.shape)
    Counted.count = 0
    for _ in range(3):
        layer(x, training=True)

    assert Counted.count == calls
