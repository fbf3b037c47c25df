"""Weights files are whole or absent; a full disk is found before HDF5 is."""

import errno
import os
import shutil
import weakref

import keras
import numpy as np
import pytest
from small_disk import fill, small_disk

from keras_netopt.training import CheckpointState
from keras_netopt.training.weights_file import check_room, save_weights


class Rewind:
    """A callback's state as large as the weights."""

    def save_state(self):
        return {}, {"weights": np.zeros(20_000, "float32")}


@pytest.fixture
def model():
    return keras.Sequential([keras.Input((100,)), keras.layers.Dense(200)])


def test_weights_are_written_and_replaced(model, tmp_path):
    path = tmp_path / "m.weights.h5"
    for value in (1.0, 2.0):
        model.set_weights([np.full(w.shape, value) for w in model.weights])
        save_weights(model, path)
    model.set_weights([np.zeros(w.shape) for w in model.weights])
    model.load_weights(path)
    assert all((one == 2.0).all() for one in model.get_weights())
    assert os.listdir(tmp_path) == [path.name]


def test_a_full_disk_keeps_the_former_weights(model, tmp_path):
    """Refused with 40 and 110 kB for 80 of weights and 80 of a state.

    A disk on which they fit is written, however little is free.
    """
    with small_disk(tmp_path / "disk") as disk:
        path = disk / "m.weights.h5"
        save_weights(model, path)
        before = path.read_bytes()
        CheckpointState.of(model).states["rewind"] = Rewind()
        for free in (40_000, 110_000):
            fill(disk, leave=free)
            with pytest.raises(OSError) as caught:
                save_weights(model, path)
            assert caught.value.errno == errno.ENOSPC
            assert "The disk has no room for the weights" in str(caught.value)
            assert caught.value.filename == str(path)
            assert path.read_bytes() == before
        fill(disk, leave=270_000)
        save_weights(model, path)
        assert path.read_bytes() != before


def test_arrays_of_one_state_are_held_at_a_time(model, tmp_path, monkeypatch):
    """Where little is free, states are built to measure them."""
    held = []

    class Counting:
        def save_state(self):
            assert all(one() is None for one in held)
            array = np.zeros(10)
            held.append(weakref.ref(array))
            return {}, {"a": array}

    states = CheckpointState.of(model).states
    states.update(first=Counting(), second=Counting())
    full = shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    with pytest.raises(OSError, match="no room"):
        check_room(model, str(tmp_path / "m.weights.h5"))
    assert len(held) == 2
