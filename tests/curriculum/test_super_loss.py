import functools
import math

import keras
import numpy as np
import pytest

from keras_netopt.curriculum import SuperLoss

ops = keras.ops
LN10 = math.log(10)
BACKEND = keras.backend.backend()
SPARSE = keras.losses.SparseCategoricalCrossentropy


def gives(value):
    """A loss equal to the output of the model, one value per sample."""
    return value[:, 0]


@keras.saving.register_keras_serializable("test_super_loss")
def output_itself(y_true, y_pred):
    return gives(y_pred)


def apply(loss, losses):
    losses = np.asarray(losses, "float32")[:, None]
    found = loss(np.zeros(len(losses)), ops.convert_to_tensor(losses))
    return ops.convert_to_numpy(found)


def logits(samples=6, classes=10):
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, samples)
    return y, 3 * rng.standard_normal((samples, classes)).astype("float32")


def gradient(function, x):
    if keras.backend.backend() == "jax":
        import jax

        return np.array(jax.grad(function)(x))
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        x = tf.Variable(x)
        with tf.GradientTape() as tape:
            value = function(x)
        return tape.gradient(value, x).numpy()
    import torch

    x = torch.tensor(x, requires_grad=True)
    function(x).backward()
    return x.grad.numpy()


def test_values_of_the_paper():
    loss = SuperLoss(output_itself, tau=LN10, reduction=None)
    found = apply(loss, [4.0, 8.0, LN10])
    np.testing.assert_allclose(found[:2], [1.279390, 3.094833], rtol=1e-3)
    assert abs(found[2]) < 1e-6


def test_large_lam_gives_the_base_loss_minus_tau():
    losses = np.array([0.0, 0.5, 3.0, 11.0], "float32")
    loss = SuperLoss(output_itself, tau=0.7, lam=1e6, reduction=None)
    np.testing.assert_allclose(apply(loss, losses), losses - 0.7, atol=1e-3)


def test_losses_and_lam_times_three_give_three_times_the_value():
    excess = np.array([-2.0, -0.5, 0.8, 4.0], "float32")

    def values(scale):
        loss = SuperLoss(output_itself, 2.0 * scale, scale, reduction=None)
        return apply(loss, (excess + 2.0) * scale)

    np.testing.assert_allclose(values(3.0), 3.0 * values(1.0), rtol=1e-4)


def test_smaller_lam_gives_hard_samples_less_weight():
    y, z = logits()

    def largest(lam):
        loss = SuperLoss(SPARSE(from_logits=True), tau=1.0, lam=lam)
        plain = SPARSE(from_logits=True, reduction=None)
        hard = int(np.argmax(ops.convert_to_numpy(plain(y, z))))
        return np.abs(gradient(lambda x: loss(y, x), z)[hard]).sum()

    assert largest(0.1) < 0.7 * largest(1.0) < 0.9 * largest(100.0)


def test_the_gradient_is_that_of_the_base_loss_times_the_confidence():
    y, z = logits()
    base = SPARSE(from_logits=True, reduction=None)
    losses = ops.convert_to_numpy(base(y, z))
    lam, tau = 0.5, 1.3
    half = 0.5 * np.maximum(-2 / math.e, (losses - tau) / lam)
    w = np.log1p(np.maximum(half, -0.3))
    for _ in range(200):  # Newton: not the method under test.
        w -= (w * np.exp(w) - half) / (np.exp(w) * (w + 1) + 1e-12)
    plain = gradient(lambda x: ops.sum(base(y, x)), z)
    loss = SuperLoss(SPARSE(from_logits=True), tau, lam, reduction="sum")

    found = gradient(lambda x: loss(y, x), z)
    np.testing.assert_allclose(found, np.exp(-w)[:, None] * plain, atol=1e-4)


def test_tau_batch_is_a_constant_for_the_gradient():
    y, z = logits()
    mean = float(ops.convert_to_numpy(SPARSE(from_logits=True)(y, z)))
    moving = SuperLoss(SPARSE(from_logits=True), "batch")
    fixed = SuperLoss(SPARSE(from_logits=True), mean)

    np.testing.assert_allclose(
        gradient(lambda x: moving(y, x), z),
        gradient(lambda x: fixed(y, x), z),
        atol=1e-6,
    )


@pytest.mark.parametrize(
    ("base", "outputs", "tau"),
    [
        (SPARSE(from_logits=True), 7, math.log(7)),
        ("sparse_categorical_crossentropy", 7, math.log(7)),
        (keras.losses.BinaryCrossentropy(from_logits=True), 7, math.log(2)),
        ("binary_crossentropy", 1, math.log(2)),
    ],
)
def test_tau_log_classes(base, outputs, tau):
    y = np.arange(3) % 2
    p = np.linspace(0.2, 0.8, 3 * outputs).reshape(3, outputs)
    if outputs > 1 and "inary" in type(base).__name__:
        y = np.eye(outputs)[y]
    by_name, by_number = (
        ops.convert_to_numpy(SuperLoss(base, t)(y, p.astype("float32")))
        for t in ("log_classes", tau)
    )
    np.testing.assert_array_equal(by_name, by_number)


def test_every_token_has_its_own_weight():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, (2, 3))
    z = rng.standard_normal((2, 3, 4)).astype("float32")
    loss = SuperLoss(SPARSE(from_logits=True), reduction=None)
    flat = SuperLoss(SPARSE(from_logits=True), reduction=None)

    found = ops.convert_to_numpy(loss(y, z))
    assert found.shape == (2, 3)
    np.testing.assert_allclose(
        found.reshape(-1),
        ops.convert_to_numpy(flat(y.reshape(-1), z.reshape(-1, 4))),
        atol=1e-6,
    )


def test_half_precision_is_computed_in_float32():
    """In float16 1e-7 is 0 and the branch point divides by it."""
    y, z = logits()
    z = z.astype("float16")
    half = SuperLoss(SPARSE(from_logits=True), lam=0.1, reduction=None)
    # `__call__` would cast to the dtype of the loss first.
    found = half.call(ops.convert_to_tensor(y), ops.convert_to_tensor(z))
    exact = half(y, z.astype("float32"))

    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    np.testing.assert_allclose(
        ops.convert_to_numpy(found), ops.convert_to_numpy(exact), atol=1e-5
    )


def test_sample_weights_and_reduction_are_those_of_keras():
    y, z = logits(4)
    weights = np.array([1.0, 0.0, 2.0, 1.0], "float32")
    each = SuperLoss(SPARSE(from_logits=True), reduction=None)(y, z)
    mean = SuperLoss(SPARSE(from_logits=True))(y, z, weights)
    expected = (ops.convert_to_numpy(each) * weights).sum() / 4
    assert float(mean) == pytest.approx(expected, abs=1e-6)


# torch would compile for minutes.
@pytest.mark.parametrize("jit", [True, False][BACKEND == "torch" :])
def test_trains_and_stays_finite(toy_data, jit):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    loss = SuperLoss(SPARSE(from_logits=True), lam=0.25)
    model.compile(keras.optimizers.SGD(0.5), loss, jit_compile=jit)
    history = model.fit(*toy_data, epochs=20, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][-1] < history["loss"][0] - 0.2


def test_config_holds_every_argument():
    loss = SuperLoss("mse", "batch", 0.3, reduction="sum", name="mine")
    copy = SuperLoss.from_config(loss.get_config())
    y, z = np.zeros((3, 2), "float32"), np.ones((3, 2), "float32") * 4
    assert copy.get_config() == loss.get_config()
    assert (copy.tau, copy.lam, copy.reduction) == ("batch", 0.3, "sum")
    assert float(copy(y, z)) == float(loss(y, z))


def test_a_saved_model_keeps_the_loss(tmp_path, make_mlp, toy_data):
    model = make_mlp()
    model.compile("sgd", SuperLoss(SPARSE(from_logits=True), lam=0.5))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x, y = toy_data
    expected, found = (
        keras.ops.convert_to_numpy(one.loss(y, one(x, training=False)))
        for one in (model, loaded)
    )
    assert found == pytest.approx(expected, rel=1e-5)
    assert loaded.loss.get_config() == model.loss.get_config()
    # `contract.child` looks for the class in a new process.
    assert keras.saving.get_registered_name(SuperLoss) == (
        "keras_netopt>SuperLoss"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lam": 0.0}, "Argument `lam` must be above 0. Received: lam=0.0"),
        ({"lam": "one"}, "Argument `lam` must be a number"),
        ({"tau": "median"}, "Argument `tau` must be .* Received: tau='median'"),
        ({"tau": None}, "Argument `tau` must be a number"),
        ({"base_loss": 3}, "Argument `base_loss` must be a Keras loss"),
        ({"base_loss": "mean"}, "Argument `base_loss` must be a Keras loss"),
        (
            {"base_loss": "mse"},
            "not a cross-entropy, .* base_loss='mean_squared",
        ),
        ({"base_loss": SuperLoss("mse", 1.0)}, "another loss than a SuperLoss"),
    ],
)
def test_wrong_arguments_raise(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        SuperLoss(**{"base_loss": SPARSE(), **arguments})


def test_tau_log_classes_without_classes_raises():
    loss = SuperLoss(SPARSE())
    with pytest.raises(
        ValueError, match="unless the last axis of the outputs is the"
    ):
        loss(np.zeros(3), np.ones((3, 1), "float32"))


def test_a_base_loss_without_values_per_sample_raises():
    loss = SuperLoss(lambda y, z: ops.mean(z), 1.0)
    with pytest.raises(
        ValueError, match="one value per sample, not their mean"
    ):
        loss(np.zeros(3), np.ones((3, 1), "float32"))


@pytest.mark.no_backend
def test_what_is_no_loss_is_a_type_error():
    for wrong in (keras.layers.Dense(1), keras.metrics.Mean(), keras.Model, 3):
        with pytest.raises(TypeError, match="`base_loss` must be a Keras loss"):
            SuperLoss(wrong)


def test_a_function_without_a_name_is_a_base_loss():
    scaled = functools.partial(keras.losses.mean_squared_error)
    loss = SuperLoss(scaled, tau=1.0)
    zeros = np.zeros((2, 1), "float32")
    assert loss.call(zeros, zeros).shape == (2,)
