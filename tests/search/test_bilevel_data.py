"""Two halves, served in the order of a cycle."""

import keras
import numpy as np
import pytest

from keras_netopt import search


def make_data(samples=23, **options):
    """Data whose inputs tell their sample."""
    x = np.arange(samples, dtype="float32").reshape(-1, 1)
    return search.dataset(x, np.arange(samples) % 3, **options)


@pytest.mark.parametrize("share", [0.5, 0.3])
@pytest.mark.parametrize("one_hot", [False, True])
def test_the_halves_are_disjoint_and_stratified(share, one_hot):
    y = np.repeat([0, 1, 2], (11, 6, 30))
    targets = np.eye(3)[y] if one_hot else y
    x = np.zeros((47, 2))
    data = search.dataset(x, targets, 4, validation_split=share)
    train, held_out = data.halves["train"], data.halves["validation"]
    assert sorted([*train, *held_out]) == list(range(47))
    for label in range(3):
        expected = share * (y == label).sum()
        assert abs((y[held_out] == label).sum() - expected) <= 1


class Seen(keras.layers.Layer):
    """Records the samples of each training step."""

    def __init__(self, record):
        super().__init__()
        self.record = record

    def call(self, x, training=False):
        if training:
            self.record(np.array(keras.ops.convert_to_numpy(x)))
        return x


@pytest.mark.parametrize("order", [1, 2])
def test_fit_sees_the_kinds_in_order_in_every_epoch(order):
    data = make_data(batch_size=3, order=order, seed=2)
    seen = []
    model = keras.Sequential([keras.Input((1,)), Seen(seen.append)])
    model.add(keras.layers.Dense(3))
    model.compile(
        "sgd",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,
    )
    model.fit(data, epochs=3, shuffle=True, verbose=0)
    steps = data.num_batches
    assert steps % len(data.kinds) == 0
    ids = [batch.astype(int).ravel() for batch in seen[-3 * steps :]]
    for i, batch in enumerate(ids):
        kind = data.kinds[i % steps % len(data.kinds)]
        assert set(batch) <= set(data.halves[kind])
    if order == 2:
        cycle = ids[:5]
        assert all((one == cycle[0]).all() for one in cycle[2:])
    epochs = [np.concatenate(ids[i : i + steps]) for i in (0, steps)]
    assert not np.array_equal(*epochs)


def test_an_epoch_serves_no_sample_of_a_half_twice():
    data = make_data(samples=40, batch_size=5)
    batches = data.batch_ids(3)
    assert len({*np.concatenate(batches)}) == 40
    again = make_data(samples=40, batch_size=5).batch_ids(3)
    np.testing.assert_array_equal(batches, again)
    assert not np.array_equal(batches, data.batch_ids(4))


def test_a_small_validation_half_is_repeated():
    data = make_data(samples=40, batch_size=4, validation_split=0.1)
    held_out = np.concatenate(data.batch_ids(0)[::2])
    assert np.unique(held_out, return_counts=True)[1].tolist() == [9] * 4


def test_single_path_trains_on_the_training_half_only():
    data = make_data(samples=40, batch_size=5)
    data.trains_only = True
    assert set(np.concatenate(data.batch_ids(0))) == set(data.halves["train"])


def test_sample_weights_and_structures_are_served():
    x = {"a": np.ones((8, 2)), "b": np.zeros((8, 3))}
    data = search.dataset(x, np.ones((8, 1)), 2, sample_weight=np.arange(8.0))
    batch = next(data.get_numpy_iterator())
    assert batch[0]["b"].shape == (2, 3)
    np.testing.assert_array_equal(batch[2], data.batch_ids(0)[0])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"batch_size": 12}, "at most the samples of each part, 12 for"),
        ({"batch_size": 0}, "`batch_size` must be an integer of at least 1"),
        ({"validation_split": 1.0}, r"float in \(0, 1\)"),
        ({"order": 3}, "`order` must be 1 or 2. Received: order=3"),
        ({"sample_weight": np.ones(3)}, r"Received: lengths \[3, 23\]"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        make_data(**options)
