import keras
import numpy as np
import pytest
from pool import Pool

from keras_netopt import surgery
from keras_netopt.callbacks import ComputeTracker

SMALL = 8 * 4 + 4 * 2


def build():
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(4, activation="relu", name="hidden"),
            keras.layers.Dense(2, name="out"),
        ]
    )
    model.compile("sgd", "mse")
    return model


def data(samples=70):
    x = np.random.default_rng(0).normal(size=(samples, 8))
    return x.astype("float32"), np.ones((samples, 2), "float32")


class Shrink(keras.callbacks.Callback):
    """Cuts 2 of 4 units at a batch of the second epoch."""

    def __init__(self, batch):
        super().__init__()
        self.batch = batch
        self._epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self._epoch, batch) == (1, self.batch):
            surgery.remove(self.model, {"hidden": [0, 1]})


POOL = Pool(build, keras.Model.make_train_function)


def fit(counter, *others, epochs=2, **arguments):
    x, y = data()
    with POOL.lend() as model:
        return model.fit(
            x,
            y,
            batch_size=32,
            epochs=epochs,
            verbose=0,
            callbacks=[counter, *others],
            **arguments,
        )


def test_every_sample_of_every_epoch_counts_the_last_batch_too():
    counter = ComputeTracker()
    history = fit(counter)
    each = 3 * 70 * SMALL
    assert history.history["training_macs"] == [each, 2 * each]
    assert counter.spent() == 2 * each


def test_validation_does_not_count():
    counter = ComputeTracker()
    fit(counter, epochs=1, validation_data=data(500))
    assert counter.spent() == 3 * 70 * SMALL


def test_an_edit_between_two_batches_counts_from_its_step():
    counter = ComputeTracker()
    fit(counter, Shrink(batch=2))
    assert counter.spent() == 3 * ((70 + 64) * SMALL + 6 * SMALL // 2)


@pytest.mark.parametrize("first", ["counter", "backup"])
def test_a_resumed_fit_goes_on_counting(tmp_path, first):
    class Crash(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise RuntimeError("crash")

    def run(*more):
        counter = ComputeTracker()
        backup = keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))
        pair = [counter, backup] if first == "counter" else [backup, counter]
        fit(*pair, *more, epochs=4)
        return counter

    with pytest.raises(RuntimeError, match="crash"):
        run(Crash())
    assert run().spent() == 4 * 3 * 70 * SMALL


def test_another_model_starts_at_zero():
    counter = ComputeTracker()
    with POOL.lend():  # The next `fit` gets another model.
        fit(counter)
    fit(counter, epochs=1)
    assert counter.spent() == 3 * 70 * SMALL


def test_a_train_step_that_counts_nothing_raises():
    class Silent(keras.Model):
        def call(self, inputs):
            return inputs

        @property
        def metrics(self):
            return []

    model = Silent()
    model.compile("sgd", "mse")
    x, _ = data()
    with pytest.raises(
        ValueError,
        match=r"^ComputeTracker counts samples by the metric 'loss' of Keras, "
        r"which a custom `train_step` must update. Received: metrics=\[\]$",
    ):
        model.build((None, 8))
        model.fit(x, x, verbose=0, callbacks=[ComputeTracker()])
