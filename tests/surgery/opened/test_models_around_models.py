"""A subclassed model that calls a Functional or Sequential model."""

import keras
import numpy as np

from keras_netopt import surgery


class Around(keras.Model):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x):
        return self.inner(x)


def test_a_model_inside_a_subclassed_model_is_cut_and_trained():
    layers = [keras.layers.Dense(8), keras.layers.Dense(3)]
    model = Around(keras.Sequential([keras.Input((6,)), *layers]))
    x = np.random.default_rng(0).normal(size=(2, 6)).astype("float32")
    model(x)
    kernel = np.array(keras.ops.convert_to_numpy(layers[1].kernel))
    kernel[4:] = 0.0
    layers[1].kernel.assign(kernel)
    expected = keras.ops.convert_to_numpy(model(x))
    surgery.remove(model, {layers[0]: [4, 5, 6, 7]})
    assert layers[0].units == 4
    assert model.inner.layers[1].kernel.shape == (4, 3)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(model(x)), expected, atol=1e-5
    )
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(x, np.ones((2, 3)), verbose=0)
