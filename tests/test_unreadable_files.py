"""Damaged files are named with their path and a remedy, and nothing changes.

Readers of models, masks, searches and exits have such a test beside them.
"""

import json
import shutil

import keras
import numpy as np
import pytest
from damaged_files import damage, find_unnamed

from keras_netopt import curriculum, fine_tuning
from keras_netopt.cli.model_files import load_arrays, load_model
from keras_netopt.compression.run_folder import RunFolder
from keras_netopt.depth.exits.device_runner import DeviceRunner
from keras_netopt.search.measured_costs import MeasuredCosts
from keras_netopt.search.morphism.journal import AFTER_IT, FILE, Journal
from keras_netopt.warnings import NoEffectWarning

pytestmark = pytest.mark.no_backend


def dense(units=3):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units)])


def test_scores(tmp_path):
    path = tmp_path / "scores.npz"
    curriculum.save_scores(path, np.arange(50.0))
    assert not find_unnamed(
        path, curriculum.load_scores, remedy="call `save_scores`"
    )


def test_the_source_of_a_warm_start(tmp_path):
    path = tmp_path / "source.keras"
    dense().save(path)
    model = dense()
    for kind, copy in damage(path):
        before = [w.copy() for w in model.get_weights()]
        with pytest.raises(ValueError) as caught:
            fine_tuning.warm_start(model, copy)
        assert str(copy) in str(caught.value), kind
        for one, other in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_files_that_commands_are_given(tmp_path):
    for name, load in (
        ("a.npz", load_arrays),
        ("a.npy", load_arrays),
        ("m.keras", load_model),
    ):
        path = tmp_path / name
        if load is load_model:
            dense().save(path)
        elif name == "a.npy":
            np.save(path, np.zeros(99))
        else:
            np.savez_compressed(path, x=np.zeros(99), y=np.arange(9))
        for kind, copy in damage(path):
            if kind != "torn at its end" or name != "a.npy":
                with pytest.raises((ValueError, FileNotFoundError)) as caught:
                    load(str(copy))
                assert str(copy) in str(caught.value), (name, kind)
                assert "\n" not in str(caught.value)


def test_an_archive_whose_members_are_damaged(tmp_path):
    """The list of its members is whole, the bytes of one are not."""
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).random(500))
    content = bytearray(path.read_bytes())
    content[300:400] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a.npz is not a .npy or .npz file"):
        load_arrays(str(path))


def test_the_journal_of_a_search(tmp_path):
    Journal(tmp_path, {"seed": 0}).finish("the end")

    def read(path):
        (path.parent / AFTER_IT).touch()
        Journal(path.parent, {"seed": 0})

    read(tmp_path / FILE)
    assert not find_unnamed(tmp_path / FILE, read, remedy="`overwrite=True`")


def test_the_state_of_a_compression(tmp_path):
    folder = RunFolder(str(tmp_path / "run"), {"seed": 0})
    folder.save()

    def read(path):
        (path.parent / "stage-0-end.weights.h5").touch()
        RunFolder(str(path.parent), {"seed": 0})

    read(tmp_path / "run" / "run.json")
    assert not find_unnamed(
        tmp_path / "run" / "run.json", read, remedy="Pass another `folder`"
    )


def test_the_thresholds_of_an_exported_folder(tmp_path):
    path = tmp_path / "thresholds.json"
    path.write_text(json.dumps({"stages": []}))
    assert DeviceRunner(str(tmp_path)).stages == []
    for kind, copy in damage(path):
        with pytest.raises(ValueError, match="export the folder again") as told:
            DeviceRunner(str(copy.parent))
        assert str(copy) in str(told.value), kind


def test_measured_costs_are_measured_again(tmp_path):
    path = tmp_path / "costs.json"
    MeasuredCosts(str(path)).add("a", 1.0)
    for kind, copy in damage(path):
        if kind == "vanished":
            assert MeasuredCosts(str(copy)).find("a") is None
            continue
        with pytest.warns(NoEffectWarning, match="measured again") as told:
            assert MeasuredCosts(str(copy)).find("a") is None
        assert str(copy) in str(told[0].message)
        if kind == "a folder":
            shutil.rmtree(copy)
        else:
            copy.unlink()
        MeasuredCosts(str(copy)).add("b", 2.0)
        assert MeasuredCosts(str(copy)).find("b") == 2.0
