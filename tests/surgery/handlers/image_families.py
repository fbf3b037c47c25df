"""Small models of images: convolutions, norms, merges, models in models."""

import keras
import numpy as np
from keras import layers, ops

L = layers


def image(*shape):
    """The seed of a test is that of NumPy's global numbers."""
    return np.random.normal(size=(4, *shape)).astype("float32")


def conv2d():
    x = L.Input((9, 9, 3))
    y = L.Conv2D(8, 3, activation="relu", padding="same")(x)
    y = L.BatchNormalization(momentum=0.9)(y)
    y = L.AveragePooling2D(2)(y)
    y = L.ZeroPadding2D()(y)
    y = L.Conv2DTranspose(6, 3, strides=2)(y)
    y = L.Cropping2D()(y)
    y = L.UpSampling2D()(y)
    y = L.Dropout(0.3)(y)
    y = L.SeparableConv2D(6, 3)(y)
    y = L.LeakyReLU()(y)
    y = L.DepthwiseConv2D(3)(y)
    y = L.SpatialDropout2D(0.3)(y)
    y = L.Conv2D(4, 3, dilation_rate=2)(y)
    y = L.GlobalAveragePooling2D()(y)
    return keras.Model(x, L.Dense(2)(y)), image(9, 9, 3)


def conv3d():
    x = L.Input((5, 5, 5, 2))
    y = L.Conv3D(6, 3, activation="elu", padding="same")(x)
    y = L.MaxPooling3D()(y)
    y = L.ZeroPadding3D()(y)
    y = L.Conv3DTranspose(4, 3)(y)
    y = L.Cropping3D()(y)
    y = L.UpSampling3D()(y)
    y = L.GlobalAveragePooling3D()(y)
    return keras.Model(x, L.Dense(2)(y)), image(5, 5, 5, 2)


def depth_multiplier():
    x = L.Input((6, 6, 3))
    y = L.Conv2D(6, 3)(x)
    y = L.DepthwiseConv2D(3, depth_multiplier=2)(y)
    y = L.BatchNormalization()(y)
    y = L.Conv2D(4, 1)(y)
    y = L.SeparableConv2D(5, 2, depth_multiplier=3)(y)
    y = L.Flatten()(y)
    return keras.Model(x, L.Dense(2)(y)), image(6, 6, 3)


def grouped():
    """Whole groups; two outputs a group; a depthwise one; one group left."""
    x = L.Input((6, 6, 3))
    y = L.Conv2D(8, 3)(x)
    y = L.Conv2D(12, 3, groups=4, padding="same")(y)
    y = L.BatchNormalization()(y)
    y = L.Conv2D(6, 1)(y)
    y = L.Conv2D(12, 3, groups=6, padding="same")(y)
    y = L.Conv2D(4, 1)(y)
    y = L.Conv2D(4, 3, groups=4)(y)
    y = L.Conv2D(4, 1)(y)
    y = L.Conv2D(4, 1, groups=2)(y)
    y = L.Flatten()(y)
    return keras.Model(x, L.Dense(2)(y)), image(6, 6, 3)


def groups_as_depthwise():
    x = L.Input((6, 6, 3))
    y = L.Conv2D(6, 3)(x)
    y = L.Conv2D(6, 3, groups=6, padding="same")(y)
    y = L.Conv2D(4, 1)(y)
    y = L.Flatten()(y)
    return keras.Model(x, L.Dense(2)(y)), image(6, 6, 3)


def instance_norm():
    x = L.Input((6, 6, 3))
    y = L.Conv2D(6, 3)(x)
    y = L.GroupNormalization(-1)(y)
    y = L.Conv2D(6, 1)(y)
    y = L.GlobalMaxPooling2D()(y)
    return keras.Model(x, L.Dense(2)(y)), image(6, 6, 3)


def group_norm():
    x = L.Input((6, 6, 3))
    y = L.Conv2D(12, 3)(x)
    y = L.GroupNormalization(4)(y)
    y = L.Activation("silu")(y)
    y = L.Conv2D(6, 1)(y)
    y = L.GroupNormalization(2)(y)
    y = L.GlobalMaxPooling2D()(y)
    return keras.Model(x, L.Dense(2)(y)), image(6, 6, 3)


def prelu():
    x = L.Input((6, 6, 3))
    y = L.Conv2D(6, 3)(x)
    y = L.PReLU(shared_axes=[1, 2])(y)
    y = L.Conv2D(6, 3)(y)
    y = L.PReLU()(y)
    y = L.Flatten()(y)
    y = L.Dense(6)(y)
    y = L.PReLU()(y)
    return keras.Model(x, L.Dense(2)(y)), image(6, 6, 3)


def merges():
    x = L.Input((6, 6, 3))
    a, b, c = (L.Conv2D(6, 1, name=n)(x) for n in "abc")
    y = L.Add()([L.Multiply()([a, b]), c])
    d, e = (L.Conv2D(4, 1, name=n)(y) for n in "de")
    y = L.Concatenate()([L.Subtract()([d, e]), y, x])
    f, g = (L.Conv2D(4, 1, name=n)(y) for n in "fg")
    y = L.Concatenate(axis=1)([L.Maximum()([f, g]), f])
    y = L.Average()([y, L.Minimum()([y, y])])
    y = L.GlobalAveragePooling2D()(y)
    return keras.Model(x, L.Dense(2)(y)), image(6, 6, 3)


def squeeze_excite():
    """A gate by channels, and one that is broadcast over channels."""
    x = L.Input((6, 6, 3))
    y = L.Conv2D(8, 3)(x)
    s = L.GlobalAveragePooling2D()(y)
    s = L.Reshape((1, 1, 8))(s)
    s = L.Conv2D(4, 1, activation="relu")(s)
    s = L.Conv2D(8, 1, activation="sigmoid")(s)
    y = L.Multiply()([y, s])
    y = L.Multiply()([y, L.Conv2D(1, 1, activation="sigmoid")(y)])
    y = L.GlobalAveragePooling2D(keepdims=True)(y)
    return keras.Model(x, L.Dense(2)(L.Flatten()(y))), image(6, 6, 3)


def channels_first():
    x = L.Input((3, 6, 6))
    first = {"data_format": "channels_first"}
    y = L.Conv2D(6, 3, padding="same", **first)(x)
    y = L.BatchNormalization(axis=1)(y)
    y = L.MaxPooling2D(**first)(y)
    z = L.GlobalAveragePooling2D(**first)(y)
    y = L.PReLU(shared_axes=[2, 3])(y)
    y = L.UpSampling2D(**first)(y)
    y = L.Conv2DTranspose(4, 2, **first)(L.ZeroPadding2D(**first)(y))
    w = L.Flatten(**first)(y)
    v = L.Reshape((2, 2, 3, 3))(L.Conv2D(1, 1, **first)(x))
    v = L.ConvLSTM2D(4, 2, return_sequences=True, **first)(v)
    v = L.ConvLSTM2D(4, 2, **first)(v)
    y = L.Concatenate()([z, w, L.Flatten()(y), L.Flatten()(v)])
    return keras.Model(x, L.Dense(2)(y)), image(3, 6, 6)


def nested():
    inner = keras.Sequential(
        [L.Input((6, 6, 6)), L.Conv2D(6, 3, padding="same"), L.ReLU()]
    )
    a = L.Input((6, 6, 6))
    b = L.Input((6, 6, 6))
    two = keras.Model([a, b], [L.Add()([a, b]), L.Conv2D(4, 1)(a)])
    x = L.Input((6, 6, 3))
    y = L.Conv2D(6, 1)(x)
    y = inner(y)
    z = L.Conv2D(6, 1)(y)
    z = inner(z)
    p, q = two([y, z])
    y = L.Concatenate()([p, q])
    y = L.GlobalAveragePooling2D()(y)
    return keras.Model(x, L.Dense(2)(y)), image(6, 6, 3)


def shared():
    x = L.Input((6, 6, 3))
    conv = L.Conv2D(6, 3, padding="same")
    y = L.Conv2D(6, 1)(x)
    y = conv(y)
    y = L.BatchNormalization()(y)
    y = conv(y)
    y = L.GlobalAveragePooling2D()(y)
    fc = L.Dense(4)
    y = L.Concatenate()([fc(y), fc(L.Dense(6)(y))])
    return keras.Model(x, L.Dense(2)(y)), image(6, 6, 3)


def many_ends():
    a, b = L.Input((6, 6, 3), name="a"), L.Input((4,), name="b")
    y = L.Conv2D(6, 3, activation="relu")(a)
    y = L.GlobalAveragePooling2D()(y)
    z = L.Dense(6, activation="relu")(b)
    y = L.Concatenate()([y, z])
    y = L.Dense(8, activation="relu")(y)
    model = keras.Model(
        {"a": a, "b": b}, {"one": L.Dense(2)(y), "two": L.Dense(3)(z)}
    )
    return model, {"a": image(6, 6, 3), "b": image(4)}


def operations():
    x = L.Input((6, 6, 3))
    y = ops.relu(L.Conv2D(6, 3)(x)) * 2.0 + 1.0
    y = ops.reshape(y, (-1, 16, 6))
    y = ops.transpose(ops.transpose(y, (0, 2, 1)), (0, 2, 1))
    s = ops.mean(y, axis=1, keepdims=True)
    y = ops.concatenate([y - s, L.Dense(4)(y)], axis=-1)
    y = (
        ops.sum(y, axis=1)
        + y[:, 0]
        + ops.squeeze(ops.max(ops.expand_dims(y, -1), axis=1), axis=-1)
    )
    return keras.Model(x, L.Dense(2)(y)), image(6, 6, 3)


def sequential():
    model = keras.Sequential(
        [
            L.Input((6, 6, 3)),
            L.Rescaling(0.5),
            L.Conv2D(6, 3),
            keras.Sequential([L.Conv2D(6, 3, activation="relu"), L.Flatten()]),
            L.Dense(6, activation="tanh"),
            L.Dense(2),
        ]
    )
    return model, image(6, 6, 3)
