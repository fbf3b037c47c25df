import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_netopt.training.branches import Branch, call_branch
from keras_netopt.training.counter_random import uniform, uniform_array
from keras_netopt.training.jax_gradients import with_fast_gradients


def conv(name):
    return keras.Sequential(
        [
            layers.Conv2D(3, 3, 2, padding="same", name=name),
            layers.BatchNormalization(),
            layers.SeparableConv2D(2, 3, padding="same"),
            layers.Dropout(0.5, seed=1),
        ]
    )


@pytest.mark.backend("jax")
@pytest.mark.parametrize("recomputes", [False, True])
def test_gradients_in_a_branch_equal_those_outside(recomputes):
    """Strided and depthwise convolutions, integer state, and jit."""
    import jax

    keras.utils.set_random_seed(0)
    blocks = [conv("a"), conv("b")]
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 2)).astype("float32")
    for block in blocks:
        block.build(x.shape)
    trained = [v for block in blocks for v in block.trainable_variables]
    state = [v for block in blocks for v in block.non_trainable_variables]
    weights = np.arange(36.0).reshape(2, 3, 3, 2).astype("float32")

    def call(values, x, index=None):
        mapping = zip([*trained, *state], values, strict=True)
        with keras.StatelessScope(list(mapping)) as scope:
            branches = [
                Branch(
                    lambda b=b: b(x, training=True), [b], recomputes=recomputes
                )
                for b in blocks
            ]
            if index is None:
                outputs = branches[1].run()
            else:
                outputs, _ = call_branch(index, branches)
        after = [scope.get_current_value(v) for v in state]
        return ops.sum(outputs * weights), after

    values = [v.value for v in [*trained, *state]]
    differentiate = jax.value_and_grad(
        call, argnums=(0, 1), has_aux=True, allow_int=True
    )
    (plain, expected), gradients = differentiate(values, x)
    (found, after), in_branch = jax.jit(differentiate)(values, x, np.int32(1))

    np.testing.assert_allclose(found, plain, rtol=1e-5)
    pairs = zip(
        jax.tree.leaves(gradients), jax.tree.leaves(in_branch), strict=True
    )
    for one, other in pairs:
        if np.asarray(one).dtype == "float32":
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    for one, other in zip(expected, after, strict=True):
        if one is not None:
            np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.backend("jax")
def test_convolutions_of_a_branch_have_their_channels_last():
    """Otherwise XLA's slow kernels compute the gradients."""
    import jax

    def convolve(x, kernel):
        axes = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=axes
        )

    def loss(kernel, x):
        outputs, _ = with_fast_gradients(lambda: (convolve(x, kernel), ()))
        return outputs.sum()

    x, kernel = (
        np.ones((2, 4, 4, 3), "float32"),
        np.ones((3, 3, 3, 5), "float32"),
    )
    text = str(jax.make_jaxpr(jax.grad(loss, (0, 1)))(kernel, x))
    orders = {
        line.split("rhs_spec=")[1].split(")")[0]
        for line in text.splitlines()
        if "rhs_spec=" in line
    }
    assert orders == {"(3, 2, 0, 1"}


def test_arrays_have_the_numbers_of_tensors():
    for seed, step, count in (
        (0, 0, 5),
        (7, 123456, 3),
        (2**31 - 1, 2**31 - 1, 4),
    ):
        tensor = uniform(seed, ops.convert_to_tensor(np.int32(step)), count)
        found = np.array(ops.convert_to_numpy(tensor))
        np.testing.assert_array_equal(uniform_array(seed, step, count), found)


def test_an_eager_branch_writes_its_own_state_alone():
    norm = layers.BatchNormalization(momentum=0.5)
    x = np.ones((4, 3), "float32")
    norm.build(x.shape)
    tensor = ops.convert_to_tensor(x)
    branches = [
        Branch(lambda: tensor),
        Branch(lambda: norm(tensor, training=True), [norm]),
    ]
    for place, expected in ((0, 0.0), (1, 0.5)):
        index = ops.convert_to_tensor(np.int32(place))
        call_branch(index, branches)
        np.testing.assert_allclose(norm.moving_mean, expected)
