"""State of ours travels with the weights and troubles nobody else's files."""

import keras
import numpy as np
import pytest

from keras_netopt.training import CheckpointState, randomness


class Notes:
    """An entry: two facts and one array."""

    def __init__(self, value):
        self.value = value

    def save_state(self):
        return {"value": self.value, "who": "notes"}, {"a/b": np.arange(3.0)}


@pytest.fixture
def carried(make_mlp):
    model = make_mlp()
    CheckpointState.of(model).states["notes"] = Notes(5)
    return model


def test_a_model_has_one_carrier(make_mlp):
    model = make_mlp()

    assert CheckpointState.find(model) is None
    assert CheckpointState.of(model) is CheckpointState.of(model)
    CheckpointState.of(model).remove()
    assert CheckpointState.find(model) is None


@pytest.mark.parametrize("name", ["m.weights.h5", "m.keras"])
def test_entries_come_back_from_a_file_once(carried, make_mlp, tmp_path, name):
    path = tmp_path / name
    save = carried.save if name.endswith("keras") else carried.save_weights
    save(path)
    checkpoint_state = CheckpointState.of(make_mlp())
    checkpoint_state.read(path)

    assert checkpoint_state.peek_values("notes") == {"value": 5, "who": "notes"}
    facts, arrays = checkpoint_state.take_loaded("notes")
    assert facts == {"value": 5, "who": "notes"}
    assert list(arrays) == ["a/b"]
    np.testing.assert_array_equal(arrays["a/b"], np.arange(3.0))
    assert checkpoint_state.take_loaded("notes") is None
    assert checkpoint_state.loads == 1


def test_load_weights_finds_the_entries(carried, make_mlp, tmp_path):
    carried.save_weights(tmp_path / "m.weights.h5")
    twin = make_mlp()
    CheckpointState.of(twin)
    twin.load_weights(tmp_path / "m.weights.h5")

    assert CheckpointState.of(twin).take_loaded("notes")[0]["value"] == 5


def test_a_plain_model_loads_the_file(carried, make_mlp, tmp_path):
    carried.save_weights(tmp_path / "m.weights.h5")
    plain = make_mlp()
    plain.set_weights([w + 1 for w in plain.get_weights()])
    plain.load_weights(tmp_path / "m.weights.h5")

    for loaded, saved in zip(
        plain.get_weights(), carried.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(loaded, saved)


def test_a_plain_file_brings_nothing(carried, make_mlp, tmp_path):
    make_mlp().save_weights(tmp_path / "plain.weights.h5")
    carried.load_weights(tmp_path / "plain.weights.h5")

    assert CheckpointState.of(carried).loads == 0
    assert CheckpointState.of(carried).take_loaded("notes") is None


def test_the_random_state_is_restored_when_asked_for(
    carried, toy_data, tmp_path
):
    x, y = toy_data
    carried.fit(x, y, epochs=1, verbose=0)
    before = randomness.capture_random_state(carried)
    carried.save_weights(tmp_path / "m.weights.h5")
    carried.fit(x, y, epochs=1, verbose=0)
    moved = randomness.capture_random_state(carried)
    carried.load_weights(tmp_path / "m.weights.h5")
    state = CheckpointState.of(carried)
    state.take_loaded("notes")
    untouched = randomness.capture_random_state(carried)
    state.restore_random()
    after = randomness.capture_random_state(carried)

    assert any(not np.array_equal(moved[k], before[k]) for k in before)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)
        np.testing.assert_array_equal(untouched[name], moved[name])


def test_cloning_and_copying_leave_the_carrier_behind(carried):
    clone = keras.models.clone_model(carried)

    assert CheckpointState.find(clone) is None
