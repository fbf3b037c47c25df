import keras
import numpy as np
import pytest
from keras import ops

from keras_netopt.training.gradients import compute_gradients

L = keras.layers


# Norm of each gradient, written down once from TensorFlow.
NORMS = [0.3606496, 0.0867310, 0.2681238, 0.1695102, 0.3622055, 0.1572031]


def values(variables):
    return [np.array(ops.convert_to_numpy(v)) for v in variables]


def set_fixed_weights(model):
    rng = np.random.default_rng(3)
    model.set_weights(
        [
            rng.normal(size=w.shape) * 0.4 if w.ndim > 1 else w
            for w in model.get_weights()
        ]
    )


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return rng.normal(size=(12, 5)), rng.integers(0, 3, 12)


@pytest.fixture
def model():
    """Dropout, batch statistics, a regularizer and an unused metric."""
    net = keras.Sequential(
        [
            keras.Input((5,)),
            L.Dense(6, activation="tanh", kernel_regularizer="l2"),
            L.BatchNormalization(momentum=0.9),
            L.Dropout(0.5),
            L.Dense(3),
        ]
    )
    set_fixed_weights(net)
    net.compile(
        "adam",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        run_eagerly=keras.backend.backend() == "tensorflow",  # Faster.
    )
    return net


def test_same_numbers_on_every_backend(model, batch):
    found = compute_gradients(model, *batch)
    norms = [float(np.sqrt((g.astype("f8") ** 2).sum())) for g in found]
    assert norms == pytest.approx(NORMS, rel=2e-6)


def test_equal_to_finite_differences(model, batch):
    found = compute_gradients(model, *batch)
    kernel = model.layers[0].kernel
    start = values([kernel])[0]
    for index in ((0, 0), (2, 3), (4, 5)):
        losses = []
        for step in (1e-2, -1e-2):
            moved = start.copy()
            moved[index] += step
            kernel.assign(moved)
            outputs = model(batch[0], training=False)
            loss = model.compute_loss(None, batch[1], outputs)
            losses.append(float(ops.stop_gradient(loss)))
        slope = (losses[0] - losses[1]) / 2e-2
        assert found[0][index] == pytest.approx(slope, rel=2e-2, abs=2e-4)


def test_linear_model_in_closed_form():
    net = keras.Sequential([keras.Input((3,)), L.Dense(2, use_bias=False)])
    net.compile(loss="mse")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(7, 2))
    (weights,) = net.get_weights()
    (found,) = compute_gradients(net, x, y)
    expected = 2 * x.T @ (x @ weights - y) / y.size
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_sample_weights_are_used():
    net = keras.Sequential([keras.Input((3,)), L.Dense(1, use_bias=False)])
    net.compile(loss="mse")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 1))
    only_first = compute_gradients(net, x, y, np.array([4.0, 0, 0, 0]))[0]
    alone = compute_gradients(net, x[:1], y[:1])[0]
    np.testing.assert_allclose(only_first, alone, rtol=1e-5, atol=1e-7)


def test_the_model_does_not_change(model, batch):
    model.fit(*batch, epochs=1, verbose=0)
    everything = [
        *model.variables,
        *model.metrics_variables,
        *model.optimizer.variables,
    ]
    before = values(everything)
    compute_gradients(model, *batch)
    for old, new in zip(before, values(everything), strict=True):
        assert np.array_equal(old, new)


def test_a_layer_that_counts_its_calls_does_not_change():
    class Counter(L.Layer):
        def build(self, input_shape):
            self.count = self.add_weight(
                shape=(), initializer="zeros", trainable=False
            )

        def call(self, x):
            self.count.assign(self.count + 1)
            return x

    net = keras.Sequential([keras.Input((3,)), L.Dense(2), Counter()])
    net.compile(loss="mse")
    compute_gradients(net, np.ones((2, 3)), np.ones((2, 2)))
    assert float(ops.convert_to_numpy(net.layers[-1].count)) == 0.0


def test_chosen_variables_only(model, batch):
    first, last = model.layers[0].kernel, model.layers[-1].bias
    found = compute_gradients(model, *batch, variables=[last, first])
    everything = compute_gradients(model, *batch)
    np.testing.assert_array_equal(found[0], everything[-1])
    np.testing.assert_array_equal(found[1], everything[0])


def test_a_regularized_kernel_that_is_not_selected(model, batch):
    (found,) = compute_gradients(
        model, *batch, variables=[model.layers[-1].bias]
    )
    np.testing.assert_array_equal(found, compute_gradients(model, *batch)[-1])


def test_variables_without_effect_on_the_loss_get_zeros():
    inputs = keras.Input((3,))
    used = L.Dense(1, use_bias=False, name="used")(inputs)
    idle = L.Dense(1, use_bias=False, name="idle")(inputs)
    net = keras.Model(inputs, [used, idle])
    net.compile(loss=["mse", None])
    found = compute_gradients(
        net, np.ones((2, 3)), [np.ones((2, 1)), np.ones((2, 1))]
    )
    assert np.abs(found[0]).max() > 0
    assert found[1].tolist() == [[0.0], [0.0], [0.0]]


def test_losses_added_by_layers_and_several_outputs():
    class Penalty(L.Layer):
        def call(self, x):
            self.add_loss(3.0 * ops.sum(x))
            return x

    inputs = keras.Input((2,))
    hidden = L.Dense(2, use_bias=False)(inputs)
    net = keras.Model(inputs, {"a": Penalty(name="a")(hidden), "b": hidden})
    net.compile(
        loss={"a": "mse", "b": "mae"}, loss_weights={"a": 0.0, "b": 0.0}
    )
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    (found,) = compute_gradients(
        net, x, {"a": np.ones((2, 2)), "b": np.ones((2, 2))}
    )
    np.testing.assert_allclose(found, [[12.0, 12.0], [18.0, 18.0]], rtol=1e-6)


def test_embeddings_give_dense_gradients():
    net = keras.Sequential(
        [keras.Input((2,), dtype="int32"), L.Embedding(4, 1)]
    )
    net.compile(loss=lambda y, p: ops.sum(p))
    (found,) = compute_gradients(
        net, np.array([[0, 2], [2, 2]]), np.zeros((2, 2, 1))
    )
    assert np.argmax(found) == 2
    assert found.ravel()[[1, 3]].tolist() == [0.0, 0.0]
    assert found[2, 0] == pytest.approx(3 * found[0, 0])


def test_mixed_precision_gradients_are_those_of_the_unscaled_loss():
    net = keras.Sequential(
        [keras.Input((3,)), L.Dense(2, use_bias=False, dtype="mixed_float16")]
    )
    net.compile(
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()), "mse"
    )
    (weights,) = net.get_weights()
    x, y = np.ones((4, 3)), np.zeros((4, 2))
    (found,) = compute_gradients(net, x, y)
    np.testing.assert_allclose(
        found, 2 * x.T @ (x @ weights) / y.size, rtol=1e-2
    )


def test_an_uncompiled_model_raises(batch):
    net = keras.Sequential([keras.Input((5,)), L.Dense(3)], name="raw")
    with pytest.raises(ValueError) as error:
        compute_gradients(net, *batch)
    assert str(error.value) == (
        "Argument `model` must be compiled where gradients of its loss are "
        "needed: call `model.compile(loss=...)`. Received: model=<Sequential "
        "name=raw, compiled=False>"
    )


def test_an_unbuilt_model_raises(batch):
    net = keras.Sequential([L.Dense(3)], name="raw")
    net.compile(loss="mse")
    with pytest.raises(ValueError) as error:
        compute_gradients(net, *batch)
    assert str(error.value) == (
        "Argument `model` must be built where gradients of its loss are "
        "needed: call it on a batch. Received: model=<Sequential name=raw, "
        "built=False>"
    )
