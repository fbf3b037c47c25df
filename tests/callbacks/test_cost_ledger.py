import keras
import numpy as np
import pytest

from keras_netopt import surgery
from keras_netopt.callbacks import CostLedger

SMALL = 8 * 4 + 4 * 2


def build():
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(4, activation="relu", name="hidden"),
            keras.layers.Dense(2, name="out"),
        ]
    )
    model.compile("adam", "mse")
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


def fit(ledger, *others, epochs=2, **arguments):
    x, y = data()
    return build().fit(
        x,
        y,
        batch_size=32,
        epochs=epochs,
        verbose=0,
        callbacks=[ledger, *others],
        **arguments,
    )


def test_every_sample_of_every_epoch_counts_the_last_batch_too():
    ledger = CostLedger()
    history = fit(ledger)
    each = 3 * 70 * SMALL
    assert history.history["training_macs"] == [each, 2 * each]
    assert ledger.spent() == 2 * each


def test_validation_does_not_count():
    ledger = CostLedger()
    fit(ledger, epochs=1, validation_data=data(500))
    assert ledger.spent() == 3 * 70 * SMALL


def test_an_edit_between_two_batches_counts_from_its_step():
    ledger = CostLedger()
    fit(ledger, Shrink(batch=2))
    assert ledger.spent() == 3 * ((70 + 64) * SMALL + 6 * SMALL // 2)


@pytest.mark.parametrize("first", ["ledger", "backup"])
def test_a_resumed_fit_goes_on_counting(tmp_path, first):
    class Crash(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise RuntimeError("crash")

    def callbacks(*more):
        ledger = CostLedger()
        backup = keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))
        pair = [ledger, backup] if first == "ledger" else [backup, ledger]
        return ledger, [*pair, *more]

    x, y = data()
    arguments = {"batch_size": 32, "epochs": 4, "verbose": 0}
    with pytest.raises(RuntimeError, match="crash"):
        build().fit(x, y, callbacks=callbacks(Crash())[1], **arguments)
    ledger, resumed = callbacks()
    build().fit(x, y, callbacks=resumed, **arguments)
    assert ledger.spent() == 4 * 3 * 70 * SMALL


def test_another_model_starts_at_zero():
    ledger = CostLedger()
    fit(ledger)
    fit(ledger, epochs=1)
    assert ledger.spent() == 3 * 70 * SMALL


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
        match=r"^CostLedger counts samples by the metric 'loss' of Keras, "
        r"which a `train_step` of its own must update. Received: metrics=\[\]$",
    ):
        model.build((None, 8))
        model.fit(x, x, verbose=0, callbacks=[CostLedger()])
