import keras
import numpy as np
import pytest

# NASNet needs TensorFlow; the handlers are tested on all backends.
collect_ignore = ["test_applications.py"] * (
    keras.backend.backend() != "tensorflow"
)

# Of `run_eagerly`, for fits of a few steps: cheaper than a trace, but on JAX,
# which compiles every operation.
EAGER = keras.backend.backend() != "jax"


def build(**compile_arguments):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(6, 3, padding="same", name="stem")(inputs)
    x = keras.layers.BatchNormalization(momentum=0.9, name="norm")(x)
    x = skip = keras.layers.ReLU()(x)
    x = keras.layers.Conv2D(5, 3, padding="same", name="inner")(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.Conv2D(6, 3, padding="same", name="outer")(x)
    x = keras.layers.Add(name="sum")([x, skip])
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


def stir(model):
    """Gives a compiled model weights and slots as after some training."""
    rng = np.random.default_rng(1)
    model.optimizer.build(model.trainable_variables)
    variables = [v for v in model.optimizer.variables if v.shape]
    slots = {v.path for v in variables}
    for variable in (*model.weights, *variables):
        if variable.dtype == "float32":
            low = 0.05 if variable.path in slots else -0.1
            noise = rng.uniform(low, 0.1, variable.shape)
            variable.assign_add(noise.astype("float32"))
    return model


@pytest.fixture
def residual():
    """Builds a small residual CNN, compiled; `stem` and `outer` are tied."""
    return build


@pytest.fixture
def trained():
    """Builds `residual` with weights and slots as after some training."""
    return lambda **arguments: stir(build(**arguments))


@pytest.fixture
def images():
    """48 random images and groups for `residual`."""
    return data()
