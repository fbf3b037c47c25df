import keras
import numpy as np
import pytest

from keras_netopt.sparsity import Pruner, prune, select
from keras_netopt.sparsity.calibration import (
    collect_statistics,
    iterate_batches,
)

L = keras.layers


@pytest.fixture
def linear():
    """Two outputs, no bias, compiled with the mean squared error."""
    model = keras.Sequential(
        [keras.Input((3,)), L.Dense(2, use_bias=False, name="fc")]
    )
    model.set_weights([np.array([[1.0, -2.0], [0.5, 3.0], [-1.0, 0.1]])])
    model.compile("sgd", "mse")
    return model


@pytest.fixture
def linear_data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 3)).astype("float32")
    y = rng.standard_normal((40, 2)).astype("float32")
    return x, y


def gradient_of_linear(weights, x, y):
    return 2 * x.T @ (x @ weights - y) / y.size


def test_taylor_is_the_sum_of_weight_times_gradient(linear, linear_data):
    x, y = linear_data
    (weights,) = linear.get_weights()
    pruner = Pruner.create("taylor")
    (found,) = pruner.collect_statistics(linear, select(linear).targets, (x, y))
    expected = sum(
        np.abs(weights * gradient_of_linear(weights, x[rows], y[rows]))
        for rows in (slice(0, 32), slice(32, 40))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_movement_is_minus_weight_times_gradient(linear, linear_data):
    x, y = linear_data
    (weights,) = linear.get_weights()
    pruner = Pruner.create("movement")
    data = [(x[:10], y[:10]), (x[10:], y[10:])]
    (found,) = pruner.collect_statistics(linear, select(linear).targets, data)
    expected = -sum(
        weights * gradient_of_linear(weights, *batch) for batch in data
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_wanda_norms_of_nested_models(linear_data):
    x, _ = linear_data
    inner_input = keras.Input((4,))
    inner = keras.Model(inner_input, L.Dense(2, name="fc")(inner_input))
    inputs = keras.Input((3,))
    hidden = L.Dense(4, activation="relu", name="first")(inputs)
    model = keras.Model(inputs, inner(hidden))
    activations = keras.ops.convert_to_numpy(model.get_layer("first")(x))
    pruner = Pruner.create("wanda")
    first, second = pruner.collect_statistics(model, select(model).targets, x)
    np.testing.assert_allclose(
        first[:, 0], np.linalg.norm(x, axis=0), rtol=1e-5
    )
    np.testing.assert_allclose(
        second[:, 0], np.linalg.norm(activations, axis=0), rtol=1e-5
    )


def test_a_shared_layer_sees_the_inputs_of_all_its_calls():
    shared = L.Dense(3, use_bias=False, name="shared")
    inputs = keras.Input((3,))
    model = keras.Model(inputs, shared(shared(inputs)))
    shared.set_weights([2 * np.eye(3)])
    x = np.ones((4, 3), "float32")
    (found,) = Pruner.create("wanda").collect_statistics(
        model, select(model).targets, x
    )
    # 4 samples of 1 and 4 of 2.
    assert found == pytest.approx(np.full((3, 1), np.sqrt(4 + 16)))


def test_a_layer_that_is_never_called_has_no_statistic():
    class Idle(keras.Model):
        def __init__(self):
            super().__init__()
            self.used = L.Dense(2, name="used")
            self.idle = L.Dense(2, name="idle")
            self.idle.build((None, 3))

        def call(self, x):
            return self.used(x)

    model = Idle()
    model(np.ones((1, 3)))
    pruner = Pruner.create("wanda")
    targets = select(model).targets
    found = collect_statistics(model, pruner.score, targets, np.ones((4, 3)))
    assert [statistic is None for statistic in found] == [False, True]
    key = targets[1].key
    with pytest.raises(ValueError) as error:
        pruner.collect_statistics(model, targets, np.ones((4, 3)))
    assert str(error.value) == (
        "Score 'wanda' needs activations, but none reach "
        f"`{key}`. Add it to `exclude`. Received: key={key!r}"
    )


def test_magnitude_needs_no_statistics(linear):
    pruner = Pruner.create()
    assert (
        pruner.collect_statistics(linear, select(linear).targets, None) is None
    )


@pytest.mark.parametrize(
    "score, needs, form",
    [
        ("taylor", "gradients", "(x, y)"),
        ("movement", "gradients", "(x, y)"),
        ("wanda", "activations", "x"),
    ],
)
def test_missing_data_raise(linear, score, needs, form):
    pruner = Pruner.create(score)
    with pytest.raises(ValueError) as error:
        pruner.collect_statistics(linear, select(linear).targets, None)
    assert str(error.value) == (
        f"Argument `calibration_data` must be given for score={score!r}, "
        f"which needs {needs}: pass calibration_data={form}. "
        "Received: calibration_data=None"
    )


def lengths(found):
    return [len(keras.tree.flatten(batch[0])[0]) for batch in found]


def test_arrays_are_split_into_batches():
    x, y, weight = np.arange(40.0)[:, None], np.arange(40), np.ones(40)
    found = list(iterate_batches((x, y, weight)))
    assert lengths(found) == [32, 8]
    assert np.array_equal(found[1][0][:, 0], found[1][1])
    assert found[0][2].sum() == 32


def test_samples_are_spread_evenly_over_the_arrays():
    found = list(iterate_batches(np.arange(1000.0), samples=5))
    assert found[0][0].tolist() == [0, 249, 499, 749, 999]
    assert found[0][1] is None


def test_nested_structures_of_arrays():
    data = ({"a": np.ones((3, 2)), "b": np.ones(3)}, [np.ones(3), np.ones(3)])
    ((x, y, weight),) = iterate_batches(data)
    assert sorted(x) == ["a", "b"] and len(y) == 2 and weight is None


def test_batches_end_after_the_number_of_samples():
    def endless():
        while True:
            yield np.ones((10, 2)), np.ones(10)

    assert lengths(iterate_batches(endless(), samples=25)) == [10, 10, 10]


def test_py_dataset():
    class Data(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return np.full((2, 1), index), np.zeros(2)

    found = list(iterate_batches(Data()))
    assert [batch[0][0, 0] for batch in found] == [0, 1, 2]


def test_tensors_of_the_backend():
    x = keras.ops.ones((3, 2))
    ((found, _, _),) = iterate_batches((x, keras.ops.zeros((3,))))
    assert isinstance(found, np.ndarray)


@pytest.mark.parametrize(
    "data", [3, "x.npy", [np.ones((3, 2)), np.ones(3)]], ids=str
)
def test_other_kinds_of_data_raise(data):
    with pytest.raises(TypeError) as error:
        list(iterate_batches(data))
    assert str(error.value) == (
        "Argument `calibration_data` must be a tuple (x, y) of arrays, an "
        "array of inputs, or an iterable of batches such as a tf.data.Dataset. "
        f"Received: calibration_data of type {type(data).__name__}"
    )


def test_empty_data_raise():
    for data, kind in (([], "list"), (np.ones((0, 2)), "ndarray")):
        with pytest.raises(ValueError) as error:
            list(iterate_batches(data))
        assert str(error.value) == (
            "Argument `calibration_data` must hold at least one sample. "
            f"Received: calibration_data of type {kind}"
        )


def test_arrays_of_different_lengths_raise():
    with pytest.raises(ValueError) as error:
        list(iterate_batches((np.ones((3, 2)), np.ones(4))))
    assert str(error.value) == (
        "Argument `calibration_data` must hold arrays of one length. Received: "
        "lengths=[3, 4]"
    )


@pytest.mark.parametrize("score", ("taylor", "movement", "snip", "grasp"))
def test_gradients_of_a_compiled_loss_need_targets(linear, linear_data, score):
    """Bug: an error of the backend about `None`."""
    x = linear_data[0]
    before = linear.get_weights()
    for data in (x, (x,), [(x,)]):
        with pytest.raises(ValueError, match=r"calibration_data=\(x, y\)"):
            prune(linear, 0.5, score=score, calibration_data=data)
    np.testing.assert_array_equal(linear.get_weights()[0], before[0])


@pytest.mark.parametrize("score", ("taylor", "snip"))
def test_a_loss_of_the_model_alone_needs_no_targets(linear_data, score):
    class Own(keras.Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, *args, **kwargs):
            return keras.ops.mean(keras.ops.square(y_pred))

    layers = [keras.Input((3,)), L.Dense(2, use_bias=False)]
    for model, loss in ((Own(layers), "mse"), (keras.Sequential(layers), None)):
        if loss is None:
            model = keras.Sequential([*layers, L.ActivityRegularization(l2=1)])
        model.compile("sgd", loss)
        found = prune(model, 0.5, score=score, calibration_data=linear_data[0])
        assert found.sparsity == 0.5
