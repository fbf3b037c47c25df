import keras
import numpy as np
import pytest
from keras import layers


def pytest_collection_modifyitems(items):
    if keras.backend.backend() == "tensorflow":
        return
    reason = "LiteRT files are written on the TensorFlow backend only"
    for item in items:
        here = item.path.parent.name == "export"
        if here and "any_backend" not in item.path.stem:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def tiny():
    return keras.Sequential(
        [keras.Input((4,), name="x"), layers.Dense(3, name="fc")], name="tiny"
    )


@pytest.fixture
def dense_net():
    """1.05 MB of float weights in layers that are big enough to quantise."""
    return keras.Sequential(
        [
            keras.Input((256,), name="x"),
            layers.Dense(512, activation="relu"),
            layers.Dense(256, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


@pytest.fixture
def real_data():
    rng = np.random.default_rng(0)
    return rng.random((100, 256), dtype="float32")
