"""C5 in a new process: loads files of trained models."""

import json
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
from contract import probes, zoo


def model_file(folder: Path) -> None:
    model = keras.saving.load_model(folder / "model.keras")
    _compare(model, folder)


def weights_file(folder: Path) -> None:
    """Loads weights into a new model, compiled so that slots exist."""
    model = zoo.compiled(folder.name.split()[0])
    if _is_edited(folder) and "keras_netopt" not in sys.modules:
        return  # Other shapes: `surgery.replay` is needed.
    if _is_edited(folder):
        from keras_netopt import surgery

        surgery.replay(model, folder / "model.weights.h5")
    model.optimizer.build(model.trainable_variables)
    model.load_weights(folder / "model.weights.h5")
    _compare(model, folder)


def layer_file(folder: Path) -> None:
    """Loads a model with a layer of this package and trains it."""
    from contract import layer_trials

    model = keras.saving.load_model(folder / "half.keras")
    with np.load(folder / "expected.npz") as file:
        expected = dict(file)
    np.testing.assert_array_equal(
        layer_trials.predictions(model), expected.pop("half")
    )
    layer_trials.fit(model, initial_epoch=layer_trials.HALF)
    found = probes.weights(model)
    assert any(
        not np.array_equal(found[k], expected[f"half {k}"]) for k in found
    )
    for key, value in found.items():
        np.testing.assert_array_equal(value, expected[key], err_msg=key)


def _is_edited(folder: Path) -> bool:
    with h5py.File(folder / "model.weights.h5") as file:
        if "_netopt" not in file:
            return False
        meta = json.loads(bytes(file["_netopt/vars/meta"][()]))
    return bool(meta.get("edit_history", {}).get("values", {}).get("edits"))


def _compare(model: keras.Model, folder: Path) -> None:
    with np.load(folder / "expected.npz") as file:
        expected = [file[f"arr_{i}"] for i in range(len(file.files))]
    name = folder.name.split()[0]
    np.testing.assert_allclose(
        probes.predictions(model, name), expected[0], rtol=0, atol=1e-6
    )
    slots = probes.keras_slots(model)
    assert len(slots) == len(expected) - 1
    for mine, theirs in zip(slots, expected[1:], strict=True):
        np.testing.assert_array_equal(mine, theirs)
