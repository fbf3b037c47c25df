import keras
import numpy as np
import pytest

from keras_netopt import surgery
from keras_netopt.surgery.edits.edit_history import EditHistory


def shapes(model):
    return [tuple(v.shape) for v in model.weights]


def state(model):
    variables = (*model.weights, *model.optimizer.variables)
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def test_edits_are_replayed_on_a_rebuilt_model(residual):
    edited = residual()
    edits = [
        surgery.remove(edited, {"inner": [0, 2]}).edit,
        surgery.remove(edited, {"inner": [0], "stem": [5]}).edit,
    ]
    assert EditHistory.of(edited).edits == edits
    model = residual()
    assert surgery.replay(model, edits) == 2
    assert shapes(model) == shapes(edited)


def test_a_weights_file_restores_its_shapes(residual, trained, tmp_path):
    edited = trained()
    surgery.remove(edited, {"inner": [1], "hidden": [3]})
    path = tmp_path / "small.weights.h5"
    edited.save_weights(path)
    model = residual()
    assert surgery.replay(model, path) == 1
    model.optimizer.build(model.trainable_variables)
    model.load_weights(path)
    for a, b in zip(state(edited), state(model), strict=True):
        np.testing.assert_array_equal(a, b)
    assert surgery.replay(model, path) == 0


def test_a_loaded_model_needs_no_replay(trained, tmp_path):
    edited = trained()
    surgery.remove(edited, {"inner": [1]})
    edited.save_weights(tmp_path / "small.weights.h5")
    edited.save(tmp_path / "small.keras")
    model = keras.saving.load_model(tmp_path / "small.keras")
    assert surgery.replay(model, tmp_path / "small.weights.h5") == 0


def test_only_missing_edits_are_replayed(residual, tmp_path):
    edited, model = residual(), residual()
    surgery.remove(edited, {"inner": [1]})
    surgery.remove(model, {"inner": [1]})
    surgery.remove(edited, {"inner": [0]})
    edited.save_weights(tmp_path / "small.weights.h5")
    assert surgery.replay(model, tmp_path / "small.weights.h5") == 1
    assert shapes(model) == shapes(edited)


def test_a_file_with_other_edits_raises(residual, tmp_path):
    edited, model = residual(), residual()
    surgery.remove(edited, {"inner": [1]})
    edited.save_weights(tmp_path / "small.weights.h5")
    surgery.remove(model, {"hidden": [1]})
    with pytest.raises(ValueError, match="belongs to a model with other edits"):
        surgery.replay(model, tmp_path / "small.weights.h5")


def test_a_file_of_another_model_raises(residual, tmp_path):
    edited = residual()
    surgery.remove(edited, {"inner": [1]})
    edited.save_weights(tmp_path / "small.weights.h5")
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="belongs to another model: it had"):
        surgery.replay(other, tmp_path / "small.weights.h5")


def test_a_file_without_edits_raises(residual, tmp_path):
    model = residual()
    model.save_weights(tmp_path / "plain.weights.h5")
    with pytest.raises(ValueError, match="which holds no edits$"):
        surgery.replay(model, tmp_path / "plain.weights.h5")


def test_unknown_operations_raise(residual):
    with pytest.raises(ValueError, match="Received: operation='explode'$"):
        surgery.replay(residual(), [{"operation": "explode"}])


def test_automatic_names_may_differ():
    def build():
        return keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(3)]
            + [keras.layers.Dense(2)]
        )

    edited, model = build(), build()
    names = [layer.name for layer in edited.layers]
    assert names[1] != model.layers[1].name
    report = surgery.remove(edited, {names[1]: [0]})
    surgery.replay(model, [report.edit])
    assert [layer.units for layer in model.layers] == [3, 2, 2]


def test_the_history_of_a_callback_can_be_replayed(residual):
    edited, model = residual(), residual()
    edit = surgery.remove(edited, {"inner": [0]}).edit
    surgery.replay(model, [{"epoch": 3, "step": 9, **edit}])
    assert shapes(model) == shapes(edited)
