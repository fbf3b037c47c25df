"""Models that get deeper, and what must hold for each of them."""

import keras
import numpy as np

from keras_netopt import surgery
from keras_netopt.training import sync_variables

layers = keras.layers


def array_of(variable):
    return np.array(keras.ops.convert_to_numpy(variable))


def mlp(activation="relu", **compile_arguments):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(10, activation=activation, name="hidden"),
            layers.Dense(6, activation=activation, name="second"),
            layers.Dense(3, name="out"),
        ]
    )
    return ready(model, **compile_arguments)


def cnn(activation="relu", **compile_arguments):
    """A residual stage with BN, then a bare convolution."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(
        6, 3, padding="same", use_bias=False, name="conv", dilation_rate=2
    )(inputs)
    x = layers.BatchNormalization(momentum=0.9, name="norm")(x)
    x = skip = layers.Activation(activation, name="act")(x)
    x = layers.Conv2D(6, 5, padding="same", name="linear")(x)
    x = layers.Add(name="add")([x, skip])
    x = layers.Conv2D(5, 3, strides=2, activation=activation, name="down")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(7, activation=activation, name="dense")(x)
    model = keras.Model(inputs, layers.Dense(3, name="out")(x))
    return ready(model, **compile_arguments)


def nested(**compile_arguments):
    """A Functional and a Sequential model inside a Functional one."""
    keras.utils.set_random_seed(0)
    source = keras.Input((8,))
    x = layers.Dense(6, activation="relu", name="fc")(source)
    encoder = keras.Model(source, layers.Dense(6, name="last")(x), name="enc")
    head = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5, activation="relu", name="fc"),
            layers.Dense(4, activation="relu", name="after"),
        ],
        name="head",
    )
    inputs = keras.Input((8,))
    x = head(layers.ReLU(name="relu")(encoder(inputs)))
    model = keras.Model(inputs, layers.Dense(3, name="out")(x))
    return ready(model, **compile_arguments)


def ready(model, **compile_arguments):
    arguments = {
        "optimizer": keras.optimizers.Adam(1e-2),
        "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **compile_arguments,
    }
    model.compile(**arguments)
    return model


def data(model, samples=48):
    rng = np.random.default_rng(0)
    shape = (samples, *model.input_shape[1:])
    x = rng.normal(size=shape).astype("float32")
    return x, (np.arange(samples) % 3).astype("int32")


def assert_preserved(before, model, tolerance=1e-6):
    found = surgery.check_preserved(before, model)
    assert before.inference[0].std() > 1e-3  # It could show a difference.
    assert found.max_abs <= tolerance
    assert found.training <= tolerance


def answers(model, x):
    sync_variables(model)
    outputs = model(keras.ops.convert_to_tensor(x), training=False)
    return keras.ops.convert_to_numpy(outputs)


def assert_like_reloaded(model, folder):
    """The file, a reloaded model and a clone say the same as the model."""
    x, _ = data(model)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    model.save(folder / "m.keras")
    loaded = keras.saving.load_model(folder / "m.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    mine = answers(model, x)
    np.testing.assert_array_equal(mine, answers(loaded, x))
    np.testing.assert_array_equal(mine, answers(clone, x))
    for other in (loaded, clone):
        assert [v.name for v in other.weights] == [
            v.name for v in model.weights
        ]
        assert names_of(other) == names_of(model)
    for one, other in zip(
        model.optimizer.variables, loaded.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(array_of(one), array_of(other))


def names_of(model):
    """All names but those of inputs, which a clone renames."""
    return [
        layer.name
        for layer in model._flatten_layers(include_self=False)
        if not isinstance(layer, layers.InputLayer)
    ]
