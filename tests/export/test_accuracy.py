"""What quantisation costs on a trained network and real images."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.datasets import fashion_mnist_sample
from keras_netopt.export import to_litert

# Percentage points that each mode may lose.
ALLOWED = {"float16": 0.1, "dynamic": 0.5, "int8": 1.0}


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    (x, y), (x_test, y_test) = fashion_mnist_sample()
    x, x_test = (a[..., None].astype("float32") / 255 for a in (x, x_test))
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(16, 3, strides=2, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.Conv2D(32, 3, strides=2),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    model.fit(x, y, batch_size=64, epochs=8, verbose=0)
    return model, x, x_test, y_test


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(ALLOWED))
def test_quantised_accuracy_stays(trained, mode, tmp_path):
    model, x, x_test, y_test = trained
    path = tmp_path / "m.tflite"
    to_litert(model, path, quantize=mode, calibration_data=x[:200])
    lite = TfliteModel(path)
    answers = lite.run(x_test)["output_0"]
    logits = model.predict(x_test, verbose=0)
    accuracy = np.mean(logits.argmax(-1) == y_test)
    assert accuracy >= 0.85
    loss = 100 * (accuracy - np.mean(answers.argmax(-1) == y_test))
    assert loss <= ALLOWED[mode] + 1e-9
