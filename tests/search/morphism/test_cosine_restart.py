"""The learning rate of each training falls from its start to its end."""

import keras
import numpy as np
from search.morphism import networks

from keras_netopt.search.morphism.cosine_restart import CHANGES, CosineRestart


class Rates(keras.callbacks.Callback):
    """Reads the rate that each step uses."""

    def on_train_begin(self, logs=None):
        self.rates = []

    def on_train_batch_end(self, batch, logs=None):
        rate = self.model.optimizer.learning_rate
        self.rates.append(float(keras.ops.convert_to_numpy(rate)))


def rates(data, epochs, final, **options):
    model = networks.build_sequential()
    seen = Rates()
    restart = CosineRestart(epochs, 0.2, final)
    for _ in range(2):
        model.fit(
            *data,
            epochs=epochs,
            verbose=0,
            callbacks=[restart, seen],
            **options,
        )
    rate = keras.ops.convert_to_numpy(model.optimizer.learning_rate)
    np.testing.assert_allclose(rate, 0.2, rtol=1e-6)
    return np.array(seen.rates)


def test_rates_fall_within_epochs_and_start_again_in_the_next_fit():
    found = rates((networks.X, networks.Y), 2, 0.1, batch_size=8)
    level = np.floor(np.arange(8) / 8 * CHANGES)
    share = 0.5 * (1 + np.cos(np.pi * (level + 0.5) / CHANGES))
    np.testing.assert_allclose(found, 0.2 * (0.1 + 0.9 * share), rtol=1e-5)
    assert found[0] > 0.19 and found[-1] < 0.03
