"""Earlier weights of a model."""

import keras
import numpy as np

from keras_netopt import surgery
from keras_netopt.rl.target_network import TargetNetwork


def build():
    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, "relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(2),
        ]
    )


def test_it_keeps_earlier_weights_until_it_copies_new_ones():
    model, x = build(), np.ones((2, 3), "float32")
    target = TargetNetwork(model)
    before = target.predict(x)
    model.set_weights([w + 1.0 for w in model.get_weights()])

    assert np.array_equal(target.predict(x), before)
    assert not np.allclose(model.predict_on_batch(x), before)
    target.copy_weights()
    np.testing.assert_allclose(
        target.predict(x), model.predict_on_batch(x), rtol=1e-5
    )


def test_it_follows_a_model_that_grows():
    model, x = build(), np.ones((2, 3), "float32")
    model.compile("sgd", "mse")
    target = TargetNetwork(model)
    target.predict(x)
    surgery.widen(model, model.layers[0], to=6)

    np.testing.assert_allclose(
        target.predict(x), model.predict_on_batch(x), rtol=1e-5
    )
