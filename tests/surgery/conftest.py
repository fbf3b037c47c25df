import keras
import numpy as np
import pytest


def build(**compile_arguments):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(6, 3, padding="same", name="stem")(inputs)
    x = keras.layers.BatchNormalization(momentum=0.9, name="norm")(x)
    x = skip = keras.layers.ReLU()(x)
    x = keras.layers.Conv2D(5, 3, padding="same", name="inner")(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.Conv2D(6, 3, padding="same", name="outer")(x)
    x = keras.layers.Add()([x, skip])
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(7, activation="relu", name="hidden")(x)
    model = keras.Model(inputs, keras.layers.Dense(3, name="out")(x))
    arguments = {
        "optimizer": keras.optimizers.Adam(1e-2),
        "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **compile_arguments,
    }
    model.compile(**arguments)
    return model


def data(samples=48):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, 8, 8, 3)).astype("float32")
    return x, rng.integers(0, 3, samples)


@pytest.fixture
def residual():
    """Builds a small residual CNN, compiled; `stem` and `outer` are tied."""
    return build


@pytest.fixture
def images():
    """48 random images and groups for `residual`."""
    return data()
