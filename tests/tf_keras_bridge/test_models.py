"""Graphs of every kind cross: nested, shared, several inputs, ops."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops
from tf_keras_bridge.bridged import (
    arrays,
    conv_net,
    cross,
    randomise,
    sequential,
)

from keras_netopt import export, sparsity, surgery
from keras_netopt.export.float32_clone import float32_clone
from keras_netopt.tf_keras_bridge import BridgeError


def test_a_nested_model_becomes_part_of_the_twin():
    """Equal names in the outer and the inner model get different ones."""
    inputs = keras.Input((4,), name="x")
    inner = sequential((4,), L.Dense(3, name="dense"), L.Dense(4, name="two"))
    x = inner(inputs)
    x = keras.Model(inputs, L.Dense(4, name="dense")(inner(x)))(inputs)
    bridge = cross(keras.Model(inputs, x))

    names = [layer.name for layer in bridge.model.layers]
    assert len([one for one in names if "dense" in one]) == 2
    assert len(set(names)) == len(names)


def test_shared_layers_inputs_and_outputs_keep_their_names():
    first, second = keras.Input((4,), name="b"), keras.Input((4,), name="a")
    dense = L.Dense(3, name="shared")
    outputs = {"sum": L.Add()([dense(first), dense(second)]), "a": dense(first)}
    bridge = cross(keras.Model({"a": second, "b": first}, outputs))

    assert bridge.report.weights == 2
    assert set(bridge.model.output) == {"sum", "a"}
    assert {one.name for one in bridge.model.inputs} == {"a", "b"}


def operators(x):
    y = L.Dense(8)(x)
    yield from (x + y, x * y, x - y, x / (ops.abs(y) + 1.0), -x, x**2)
    yield from (2 * x, 1.0 - x, x + np.arange(8, dtype="float32"))
    yield from (x[:, 0], x[..., ::2], x[:, None, 1:3, -1])
    yield ops.where(x > y, x, 0.0)


def functions(x):
    y = L.Dense(8)(x)
    yield from (ops.mean(x, axis=1), ops.max(x, axis=-1, keepdims=True))
    yield from (ops.sum(x), ops.var(x, axis=(1, 2)), ops.std(x, axis=1))
    yield from (ops.concatenate([x, y], axis=-1), ops.stack([x, y], axis=1))
    yield from ops.split(x, 2, axis=-1)
    yield from ops.split(x, [3, 5], axis=-1)
    yield from (ops.reshape(x, (-1, 48)), ops.reshape(x, (-1, 8)))
    yield from (ops.transpose(x, (0, 2, 1)), ops.swapaxes(x, 1, 2))
    yield from (ops.expand_dims(x, -1), ops.squeeze(ops.expand_dims(x, 1), 1))
    yield from (
        ops.matmul(x, ops.transpose(y, (0, 2, 1))),
        ops.moveaxis(x, 1, 2),
    )
    yield ops.einsum("bij,bkj->bik", x, y)
    yield from (ops.relu(x), ops.relu6(x), ops.sigmoid(x), ops.tanh(x))
    yield from (ops.softmax(x), ops.softmax(x, axis=1), ops.silu(x))
    yield from (ops.gelu(x), ops.gelu(x, approximate=False), ops.elu(x))
    yield from (ops.leaky_relu(x, 0.3), ops.hard_sigmoid(x), ops.softplus(x))
    yield from (ops.exp(x), ops.log(ops.abs(x) + 1.0), ops.sqrt(ops.square(x)))
    yield from (ops.rsqrt(ops.abs(x) + 1.0), ops.clip(x, -0.5, 0.5))
    yield from (ops.maximum(x, y), ops.minimum(x, 0.0), ops.power(x, 2.0))
    yield from (ops.pad(x, ((0, 0), (1, 1), (0, 2))), ops.sign(x), ops.floor(x))
    yield ops.cast(ops.cast(x, "int32"), "float32")
    yield from (ops.logsumexp(x, axis=-1), ops.any(x > 0.0, axis=1))
    yield ops.logical_and(x > 0.0, ops.not_equal(y, 0.0))


def indexed(x):
    first = ops.argmax(x, axis=-1)
    yield from (first, ops.argmax(x, axis=1, keepdims=True), ops.cumsum(x, 1))
    yield from (ops.flip(x, axis=1), ops.one_hot(first, 8), ops.roll(x, 2, 1))
    yield from (ops.take(x, [0, -1], axis=1), ops.repeat(x, 2, axis=2))
    yield ops.take_along_axis(x, ops.expand_dims(first, -1), axis=-1)
    yield from (ops.tile(x, (1, 2, 1)), ops.tril(x), ops.triu(x, 1))
    yield from (ops.round(x * 10.0), ops.zeros_like(x), ops.ones_like(x) * x)
    yield from (x % 0.7, x // 0.3, ops.stop_gradient(x))


@pytest.mark.no_backend
@pytest.mark.parametrize("kind", [operators, functions, indexed])
def test_ops_cross(kind):
    x = keras.Input((6, 8))
    cross(keras.Model(x, list(kind(x))))


def test_ops_become_layers_that_tfmot_knows():
    x = keras.Input((6, 6, 3))
    y = L.Conv2D(3, 1)(x)
    z = ops.relu6(ops.concatenate([x + y, ops.relu(x) * y], axis=-1))
    bridge = cross(keras.Model(x, ops.mean(z, axis=(1, 2))))

    kinds = {type(one).__name__ for one in bridge.model.layers}
    assert {"Add", "Multiply", "Activation", "Concatenate", "ReLU"} <= kinds
    assert "GlobalAveragePooling2D" in kinds
    assert "TFOperation" not in kinds


def test_integer_operands_are_promoted_as_in_keras():
    x = keras.Input((3,), dtype="int32")
    cross(keras.Model(x, [x + 1, x * 0.5, ops.mean(x, axis=1), x > 2]))


def test_a_layer_and_an_op_of_one_name_come_back():
    """The clone once took the layer `Add` for the op `x + 3.0`."""
    x = keras.Input((3,))
    cross(keras.Model(x, L.Add()([x, L.Dense(3)(x)]) + 3.0))


def test_a_saved_twin_holds_the_ops(tmp_path):
    """A Lambda, or a layer that is not registered, cannot be read again."""
    import tf_keras

    x = keras.Input((6, 8))
    y = ops.where(x[:, 1:] > 0.0, x[:, 1:], np.float32(2.0))
    bridge = cross(keras.Model(x, L.Activation("hard_silu")(y)))
    path = str(tmp_path / "twin.keras")
    bridge.model.save(path)
    read = tf_keras.models.load_model(path)

    probe = np.random.default_rng(0).normal(size=(2, 6, 8)).astype("float32")
    np.testing.assert_array_equal(read(probe), bridge.model(probe))


def test_images_of_bytes_cross():
    """An augmentation that is left out converts its inputs to floats."""
    model = sequential(
        (8, 8, 3),
        L.RandomFlip(name="flip"),
        L.Conv2D(2, 3),
        L.Activation("relu6", name="clip"),
        L.Dense(2, trainable=False, name="frozen"),
        dtype="uint8",
    )
    twin = cross(model).model

    assert not twin.get_layer("frozen").trainable
    # tfmot knows the layer, not the activation.
    assert type(twin.get_layer("clip")).__name__ == "ReLU"


def test_an_activation_is_split_from_a_layer_before_normalization():
    model = sequential(
        (8, 8, 3),
        L.Conv2D(4, 3, activation="relu", name="conv"),
        L.BatchNormalization(),
        L.Conv2D(2, 3, activation="relu", name="last"),
    )
    plain = [one.name for one in cross(model).model.layers]
    split = cross(model, split_activations=True)

    assert [
        one.name for one in split.model.layers if one.name not in plain
    ] == ["conv_activation"]
    assert "conv_activation" in str(split.report)


def test_a_model_in_half_precision_crosses_in_float32():
    layer = L.Normalization(dtype="mixed_float16")
    layer.adapt(keras.random.normal((20, 4), 5.0, 3.0, seed=1))
    model = sequential((4,), layer, L.Dense(3, dtype="mixed_float16"))
    probe = np.random.default_rng(0).normal(5, 3, (4, 4)).astype("float32")
    bridge = cross(model)
    expected = keras.ops.convert_to_numpy(model(probe)).astype("float32")

    assert "half precision" in str(bridge.report)
    assert bridge.model.output.dtype == "float32"
    # The clone once kept the statistics of before its weights were copied.
    for found in (bridge.model(probe), float32_clone(model)(probe)):
        found = keras.ops.convert_to_numpy(found)
        np.testing.assert_allclose(found, expected, atol=0.02)


def test_pruned_and_edited_models_cross():
    model = randomise(conv_net())
    sparsity.prune(model, 0.5)
    surgery.prune_channels(model, 0.5, include="first", min_channels=2)
    zeros = [np.sum(one == 0) for one in arrays(model)]
    bridge = export.tfmot(model)

    assert [np.sum(one == 0) for one in arrays(bridge.to_keras())] == zeros


def test_a_layer_of_a_class_that_was_edited_crosses():
    """Such a layer is saved as its config of before the edit."""
    inputs = keras.Input((6, 8))
    x = L.MultiHeadAttention(4, 4, name="attention")(inputs, inputs)
    model = keras.Model(inputs, L.Dense(2)(x))
    surgery.prune_channels(model, 0.5, include="attention")

    assert model.get_layer("attention").num_heads == 2
    cross(model)


def test_a_twin_has_the_weights_of_now():
    model = conv_net()
    bridge = cross(model)
    randomise(model, seed=5)
    probe = np.ones((1, 8, 8, 4), "float32")
    expected = keras.ops.convert_to_numpy(model(probe))

    np.testing.assert_allclose(
        bridge.new_twin()(probe).numpy(), expected, atol=1e-6
    )
    assert np.abs(bridge.model(probe).numpy() - expected).max() > 1e-3


def test_a_model_that_fails_itself_is_named_as_the_cause():
    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, L.Reshape((7, 4), name="seven")(inputs))

    with pytest.raises(BridgeError, match="itself fails at 'seven'"):
        export.tfmot(model)


def test_a_model_that_returns_nan_is_named_as_the_cause():
    model = conv_net()
    variance = model.layers[1].moving_variance
    variance.assign(np.full(variance.shape, np.nan))

    with pytest.raises(BridgeError, match="itself returns NaN"):
        export.tfmot(model)
