"""Which tensors get a range."""

import keras
import pytest
from keras import layers, ops

from keras_netopt.quantization.placement import find_places

pytestmark = pytest.mark.no_backend

IMAGE, VECTOR = (8, 8, 3), (8,)


def chain(*parts):
    def build(x):
        for part in parts:
            x = part(x)
        return x

    return build


def conv(**options):
    return layers.Conv2D(4, 3, padding="same", name="conv", **options)


def residual(x):
    y = layers.BatchNormalization(name="bn")(conv()(x))
    x = layers.Conv2D(4, 1, name="side")(x)
    return layers.ReLU(name="relu")(layers.Add(name="add")([x, y]))


def two_readers(x):
    y = conv()(x)
    return layers.ReLU(name="relu")(y), layers.Flatten()(y)


def shared(x):
    dense = layers.Dense(8, name="dense")
    return dense(layers.ReLU(name="relu")(dense(x)))


def nested(x):
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            layers.BatchNormalization(name="bn"),
            layers.ReLU(name="relu"),
            layers.Conv2D(4, 1, name="last"),
        ],
        name="inner",
    )
    return layers.ReLU(name="after")(inner(conv()(x)))


def nested_twice(x):
    inner = keras.Sequential(
        [keras.Input((8,)), layers.Dense(8, name="dense")], name="inner"
    )
    return layers.ReLU(name="relu")(inner(inner(x)))


def joined(x):
    y = layers.Conv2D(4, 1, name="side")(x)
    return layers.Concatenate(name="join")([conv()(x), y])


def joined_input(x):
    return layers.Dense(2, name="dense")(ops.concatenate([x, x + 1.0], -1))


def function_calls(x):
    y = layers.Dense(8, name="dense")(x)
    return ops.relu(ops.reshape(y + x, (-1, 8)))


relu = layers.ReLU
INPUT = " input"
CASES = {
    "conv bn relu": (
        IMAGE,
        chain(conv(), layers.BatchNormalization(), relu(6.0, name="relu")),
        [INPUT, "relu output"],
    ),
    "conv relu inside": (
        IMAGE,
        chain(conv(activation="relu"), layers.BatchNormalization(name="bn")),
        [INPUT, "conv output", "bn output"],
    ),
    "relu with a slope": (
        IMAGE,
        chain(conv(), relu(negative_slope=0.1, name="relu")),
        [INPUT, "conv output", "relu output"],
    ),
    "relu activation": (
        IMAGE,
        chain(conv(), layers.Activation("relu6", name="relu")),
        [INPUT, "relu output"],
    ),
    "gelu activation": (
        IMAGE,
        chain(conv(), layers.Activation("gelu", name="gelu")),
        [INPUT, "conv output", "gelu output"],
    ),
    "swish inside": (
        IMAGE,
        chain(conv(activation="swish")),
        [INPUT, "conv inner", "conv output"],
    ),
    "moves": (
        IMAGE,
        chain(
            layers.ZeroPadding2D(),
            conv(),
            layers.MaxPooling2D(),
            layers.Dropout(0.1),
            layers.GlobalAveragePooling2D(name="mean"),
            layers.Reshape((2, 2)),
            layers.Flatten(),
        ),
        [INPUT, "conv output", "mean output"],
    ),
    "dropout between": (
        IMAGE,
        chain(conv(), layers.Dropout(0.1), relu(name="relu")),
        [INPUT, "relu output"],
    ),
    "pooling between": (
        IMAGE,
        chain(conv(), layers.MaxPooling2D(), relu(name="relu")),
        [INPUT, "conv output", "relu output"],
    ),
    "residual": (
        IMAGE,
        residual,
        [INPUT, "side output", "bn output", "relu output"],
    ),
    "two readers": (IMAGE, two_readers, [INPUT, "conv output", "relu output"]),
    "shared": (VECTOR, shared, [INPUT, "relu output", "dense 1 output"]),
    "nested": (IMAGE, nested, [INPUT, "after output", "inner/relu output"]),
    "nested twice": (
        VECTOR,
        nested_twice,
        [INPUT, "relu output", "inner/dense output"],
    ),
    "joined": (IMAGE, joined, [INPUT, "join output"]),
    "joined input": (
        VECTOR,
        joined_input,
        [INPUT, "concatenate output", "dense output"],
    ),
    "function calls": (
        VECTOR,
        function_calls,
        [INPUT, "dense output", "add output", "relu output"],
    ),
    "integers": (
        VECTOR,
        chain(layers.Embedding(9, 4, name="table")),
        ["table output"],
    ),
}


def test_ranges_are_where_litert_stores_a_tensor():
    wrong = []
    for name, (shape, build, wanted) in CASES.items():
        keras.utils.clear_session(free_memory=False)
        dtype = "int32" if name == "integers" else "float32"
        inputs = keras.Input(shape, dtype=dtype)
        model = keras.Model(inputs, build(inputs))
        found = [describe(place) for place in find_places(model)]
        if sorted(found) != sorted(wanted):
            wrong.append(f"{name}: {found} instead of {wanted}")
    assert wrong == []


def describe(place):
    number = f" {place.number}" if place.number else ""
    return f"{place.path}{number} {place.kind}"


@pytest.mark.parametrize(
    "name, ends",
    [("softmax", (0, 255 / 256)), ("tanh", (-1, 127 / 128)), ("relu", None)],
)
def test_litert_prescribes_the_range_of_some_activations(name, ends):
    built = keras.Sequential([keras.Input((4,)), layers.Dense(3, name)])
    assert find_places(built)[-1].fixed == ends
    built = keras.Sequential([keras.Input((4,)), layers.Activation(name)])
    assert find_places(built)[-1].fixed == ends


def test_a_class_of_a_user_is_not_taken_for_one_of_keras():
    class Flatten(layers.Layer):
        def call(self, x):
            return 2 * x

    built = keras.Sequential([keras.Input((4,)), Flatten(name="double")])
    assert [p.path for p in find_places(built)] == ["", "double"]
