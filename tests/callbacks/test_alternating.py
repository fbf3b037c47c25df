"""AC/DC: `Pruning` with a cyclic schedule, phase by phase."""

import keras
import numpy as np
import pytest
from training.mask_tools import kernels

from keras_netopt.callbacks import Pruning
from keras_netopt.schedules import Cyclic
from keras_netopt.training import MaskStore

# 64 samples in batches of 8: sparse in steps 4-6 and 10-12, dense in steps
# 7-9 and 13-17, sparse from 18 on.
SCHEDULE = Cyclic(final=0.5, begin=4, end=18, on=3, off=3)
SPARSE = {4, 5, 6, 10, 11, 12, *range(18, 25)}


class Record(keras.callbacks.Callback):
    """Copies kernels and slots at the end of each batch."""

    def __init__(self):
        super().__init__()
        self.weights, self.slots = {}, {}

    def on_train_batch_end(self, batch, logs=None):
        model = self.model
        step = int(model.optimizer.iterations)
        keys = kernels(model)
        self.weights[step] = {k: np.array(v) for k, v in keys.items()}
        self.slots[step] = {
            (k, v.path): np.array(v)
            for v in model.optimizer.variables
            for k, w in keys.items()
            if v.shape == w.shape and v.dtype == w.dtype
        }


def train(model, data, *callbacks, epochs=3, **options):
    model.fit(
        *data,
        **{"batch_size": 8, "epochs": epochs, "verbose": 0, **options},
        shuffle=False,
        callbacks=list(callbacks),
    )


@pytest.fixture
def data(toy_data):
    return tuple(array[:64] for array in toy_data)


def build():
    """Without units that are off: every weight has a gradient."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(16, "tanh", name="hidden"),
            keras.layers.Dense(3, name="out"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.05), loss)
    return model


def test_phases_are_those_of_the_paper(data):
    """Each sparse phase ranks all weights anew; dense phases train all."""
    before, after = Record(), Record()
    model = build()
    pruning = Pruning(SCHEDULE, allocation="uniform")
    train(model, data, before, pruning, after)
    starts, ends = (4, 10, 18), (7, 13)
    masks = []
    for step in SPARSE:
        kept = after.weights[step].values()
        assert [np.mean(kernel == 0) for kernel in kept] == [0.5, 0.5]
    for step in starts:
        for key, kernel in before.weights[step].items():
            mask = after.weights[step][key] != 0
            assert np.abs(kernel)[mask].min() >= np.abs(kernel)[~mask].max()
        masks.append({k: w != 0 for k, w in after.weights[step].items()})
    assert any((masks[0][k] != masks[2][k]).any() for k in masks[0])
    for step in ends:
        for key, kernel in after.weights[step].items():
            # They start at zero, without momentum. A unit without outgoing
            # weights has its first gradient after one step.
            assert np.mean(kernel == 0) == 0.5
            assert after.weights[step + 2][key].all()
        for (key, _), slot in after.slots[step].items():
            assert not slot[after.weights[step][key] == 0].any()
            assert slot[after.weights[step][key] != 0].any()


def test_a_dense_phase_resumes_bit_for_bit(data, tmp_path):
    """Epoch 2 ends at step 16, in the last dense phase."""
    path = tmp_path / "state.weights.h5"
    whole = build()
    start = whole.get_weights()
    saver = keras.callbacks.ModelCheckpoint(
        str(path).replace("state", "{epoch}"), save_weights_only=True
    )
    train(whole, data, Pruning(SCHEDULE), saver, epochs=4)

    again = build()
    again.set_weights(start)
    again.optimizer.build(again.trainable_variables)

    class Load(keras.callbacks.Callback):
        """As `BackupAndRestore` does."""

        def on_train_begin(self, logs=None):
            self.model.load_weights(tmp_path / "2.weights.h5")
            found = kernels(self.model).values()
            assert all(np.array(kernel).all() for kernel in found)

    train(again, data, Pruning(SCHEDULE), Load(), epochs=4, initial_epoch=2)
    for mine, theirs in zip(
        whole.get_weights(), again.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    masks = MaskStore.of(again).masks()
    assert sum((~m).sum() for m in masks.values()) == sum(
        m.size // 2 for m in masks.values()
    )
