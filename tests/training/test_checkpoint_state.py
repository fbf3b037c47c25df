"""The state is saved with the weights; other models load such files."""

import keras
import numpy as np
import pytest
from damaged_files import find_unnamed

from keras_netopt.training import CheckpointState, randomness


class Notes:
    """A stateful object with two values and one array."""

    def __init__(self, value):
        self.value = value

    def save_state(self):
        return {"value": self.value, "who": "notes"}, {"a/b": np.arange(3.0)}


@pytest.fixture
def model_with_state(make_mlp):
    model = make_mlp()
    CheckpointState.of(model).states["notes"] = Notes(5)
    return model


def test_a_model_has_one_checkpoint_state(make_mlp):
    model = make_mlp()

    assert CheckpointState.find(model) is None
    assert CheckpointState.of(model) is CheckpointState.of(model)


@pytest.mark.parametrize("name", ["m.weights.h5", "m.keras"])
def test_states_are_loaded_from_a_file_once(
    model_with_state, make_mlp, tmp_path, name
):
    path = tmp_path / name
    save = (
        model_with_state.save
        if name.endswith("keras")
        else model_with_state.save_weights
    )
    save(path)
    checkpoint_state = CheckpointState.of(make_mlp())
    checkpoint_state.read(path)

    assert checkpoint_state.peek_values("notes") == {"value": 5, "who": "notes"}
    values, arrays = checkpoint_state.take_loaded("notes")
    assert values == {"value": 5, "who": "notes"}
    assert list(arrays) == ["a/b"]
    np.testing.assert_array_equal(arrays["a/b"], np.arange(3.0))
    assert checkpoint_state.take_loaded("notes") is None
    assert checkpoint_state.loads == 1


def test_load_weights_loads_the_states(model_with_state, make_mlp, tmp_path):
    model_with_state.save_weights(tmp_path / "m.weights.h5")
    twin = make_mlp()
    CheckpointState.of(twin)
    twin.load_weights(tmp_path / "m.weights.h5")

    assert CheckpointState.of(twin).take_loaded("notes")[0]["value"] == 5


def test_a_model_without_state_loads_the_file(
    model_with_state, make_mlp, tmp_path
):
    model_with_state.save_weights(tmp_path / "m.weights.h5")
    plain = make_mlp()
    plain.set_weights([w + 1 for w in plain.get_weights()])
    plain.load_weights(tmp_path / "m.weights.h5")

    for loaded, saved in zip(
        plain.get_weights(), model_with_state.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(loaded, saved)


def test_a_file_without_state_loads_none(model_with_state, make_mlp, tmp_path):
    make_mlp().save_weights(tmp_path / "plain.weights.h5")
    model_with_state.load_weights(tmp_path / "plain.weights.h5")

    assert CheckpointState.of(model_with_state).loads == 0
    assert CheckpointState.of(model_with_state).take_loaded("notes") is None


def test_the_random_state_is_restored_on_request(
    model_with_state, toy_data, tmp_path
):
    x, _ = toy_data
    model_with_state(x, training=True)  # Its dropout draws numbers.
    before = randomness.capture_random_state(model_with_state)
    model_with_state.save_weights(tmp_path / "m.weights.h5")
    model_with_state(x, training=True)
    moved = randomness.capture_random_state(model_with_state)
    model_with_state.load_weights(tmp_path / "m.weights.h5")
    state = CheckpointState.of(model_with_state)
    state.take_loaded("notes")
    untouched = randomness.capture_random_state(model_with_state)
    state.restore_random()
    after = randomness.capture_random_state(model_with_state)

    assert any(not np.array_equal(moved[k], before[k]) for k in before)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)
        np.testing.assert_array_equal(untouched[name], moved[name])


def test_clones_have_no_checkpoint_state(model_with_state):
    clone = keras.models.clone_model(model_with_state)

    assert CheckpointState.find(clone) is None


def test_an_unreadable_file_is_named_and_changes_nothing(
    model_with_state, make_mlp, tmp_path
):
    model = make_mlp()
    state = CheckpointState.of(model)
    for name in ("m.weights.h5", "m.keras"):
        path = tmp_path / name
        getattr(model_with_state, "save" if "k" in name else "save_weights")(
            path
        )
        wrong = find_unnamed(
            path,
            state.read,
            state=lambda: (state.loads, state.peek_values("notes")),
            remedy="Save the model again, or pass an older file.",
        )
        assert wrong == [], name


def test_a_file_without_the_needed_state_is_not_loaded(
    model_with_state, make_mlp, tmp_path
):
    model_with_state.save(tmp_path / "m.keras")
    state = CheckpointState.of(make_mlp())

    assert not state.read(tmp_path / "m.keras", needs="others")
    assert state.loads == 0
    assert state.take_loaded("notes") is None
    assert state.read(tmp_path / "m.keras", needs="notes")
    assert state.take_loaded("notes") is not None
