"""Folders of `BackupAndRestore` as killed processes leave them."""

import fcntl
import json
import os
import shutil

import keras
import numpy as np
import pytest
from contract import probes, zoo

from keras_netopt.callbacks import Pruning
from keras_netopt.training.backup_folder import mend_backup
from keras_netopt.warnings import NoEffectWarning

EPOCHS = 3
WEIGHTS, METADATA = "latest.weights.h5", "training_metadata.json"


class CopyAfter(keras.callbacks.Callback):
    """Copies the folder of the backup at the end of each epoch."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def on_epoch_end(self, epoch, logs=None):
        copy = self.folder.with_name(f"after {epoch + 1}")
        shutil.copytree(self.folder, copy)


class CheckDamaged(keras.callbacks.Callback):
    """The folder is deleted at the end of `fit`."""

    def __init__(self, path, content):
        super().__init__()
        self.path, self.content = path, content

    def on_train_begin(self, logs=None):
        assert self.path.read_bytes() == self.content


def fit(folder, *others, first=False, **backup):
    """Trains or resumes, and returns the state at the end."""
    model = zoo.light(eager=True)
    backup = keras.callbacks.BackupAndRestore(str(folder), **backup)
    pruning = Pruning(0.5, frequency=2)
    listed = [backup, pruning] if first else [pruning, backup]
    probes.fit(model, "mlp", [*listed, *others], epochs=EPOCHS)
    return probes.state(model)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folders after each epoch, and the state at the end."""
    folder = tmp_path_factory.mktemp("whole")
    state = fit(folder / "b", CopyAfter(folder / "b"), double_checkpoint=True)
    return folder, state


@pytest.fixture
def folder(whole, tmp_path):
    """`folder(2)` is a copy of the folder after two epochs."""

    def copy(epochs, double=False):
        path = tmp_path / "backup"
        shutil.copytree(whole[0] / f"after {epochs}", path)
        for one in path.glob("*.bkp"):
            if not double:
                one.unlink()
        return path

    return copy


def tear(path):
    path.write_bytes(path.read_bytes()[:96])


def epoch_of(path):
    return json.loads((path / METADATA).read_text())["epoch"]


@pytest.mark.parametrize("first", [False, True])
def test_a_fit_killed_behind_its_last_backup_restores_its_masks(
    whole, folder, first
):
    """No epoch is left; the masks were all ones before."""
    probes.assert_same(fit(folder(EPOCHS), first=first), whole[1])


@pytest.mark.parametrize("left", ["", "{", '{"epoch": 1, "batch": 0}', None])
def test_weights_without_their_epoch_continue_where_they_were_saved(
    whole, folder, left
):
    path = folder(2)
    if left is None:
        (path / METADATA).unlink()
    else:
        (path / METADATA).write_text(left)
    with pytest.warns(NoEffectWarning, match="continues after 2 epochs"):
        found = fit(path)
    probes.assert_same(found, whole[1])


def test_a_torn_first_backup_begins_anew(whole, folder):
    path = folder(1)
    tear(path / WEIGHTS)
    (path / METADATA).unlink()
    damaged, torn = path / f"{WEIGHTS}.damaged", (path / WEIGHTS).read_bytes()
    damaged.write_text("of an earlier kill")
    with pytest.warns(NoEffectWarning, match="its first backup") as told:
        found = fit(path, CheckDamaged(damaged, torn))
    probes.assert_same(found, whole[1])
    [text] = [str(w.message) for w in told if w.category is NoEffectWarning]
    assert repr(str(damaged)) in text


@pytest.mark.parametrize(
    ("epochs", "reason", "gone"),
    [
        (EPOCHS, "of a finished `fit`", []),
        (EPOCHS, "is missing. Training", [METADATA]),
        (2, "is missing. Training", [f"{METADATA}.bkp"]),
    ],
)
def test_the_backup_before_a_missing_one_is_taken(
    whole, folder, epochs, reason, gone
):
    """Keras would train from the initial weights, or not at all."""
    path = folder(epochs, double=True)
    for name in [WEIGHTS, *gone]:
        (path / name).unlink()
    with pytest.warns(NoEffectWarning, match=reason) as told:
        found = fit(path)
    probes.assert_same(found, whole[1])
    [text] = [str(w.message) for w in told if w.category is NoEffectWarning]
    assert "from the backup before it" in text


def test_a_kill_while_the_backup_before_is_taken_loses_no_epoch(
    folder, monkeypatch
):
    path = folder(2, double=True)
    tear(path / WEIGHTS)
    replace, left = os.replace, []

    def replace_or_die(old, new):
        if not left.pop():
            raise KeyboardInterrupt
        replace(old, new)

    monkeypatch.setattr(os, "replace", replace_or_die)
    # The torn file is renamed first, then metadata and weights are written.
    for count in (0, 1, 1):
        left[:] = [False, *[True] * count]
        with pytest.raises(KeyboardInterrupt):
            mend_backup(path)
    monkeypatch.undo()
    assert "backup before it" in mend_backup(path)
    assert epoch_of(path) == 1
    assert (path / WEIGHTS).read_bytes() == (
        path / f"{WEIGHTS}.bkp"
    ).read_bytes()


@pytest.mark.parametrize("torn", [[], [f"{WEIGHTS}.bkp"]])
def test_epochs_without_weights_begin_anew(whole, folder, torn):
    """Keras would train nothing and return the initial weights."""
    path = folder(EPOCHS, double=bool(torn))
    (path / WEIGHTS).unlink()
    for name in torn:
        tear(path / name)
    copy = path.with_name("copy")
    shutil.copytree(path, copy)
    assert "Training begins anew" in mend_backup(copy)
    kept = [f"{name}.damaged" for name in torn]
    assert [one.name for one in copy.iterdir()] == kept
    assert mend_backup(copy) is None
    with pytest.warns(NoEffectWarning, match="weights .* are gone"):
        found = fit(path)
    probes.assert_same(found, whole[1])


def lock(path):
    file = path.open("rb")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("hide", [lock, replace_by_folder])
@pytest.mark.parametrize("name", [WEIGHTS, f"{WEIGHTS}.bkp", METADATA])
def test_what_may_not_be_read_is_named_and_stays(folder, hide, name):
    """A process that is alive may hold it; it need not be torn."""
    path = folder(2, double=True)
    if name.endswith(".bkp"):
        tear(path / WEIGHTS)
    held = hide(path / name)
    before = sorted(path.iterdir())
    if hide is lock and name == METADATA:
        assert mend_backup(path) is None  # Only HDF5 asks for locks.
    else:
        with pytest.raises(ValueError, match="Nothing was changed") as error:
            mend_backup(path)
        assert f"path={str(path / name)!r}" in str(error.value)
    if held:
        held.close()
    assert sorted(path.iterdir()) == before


def test_a_torn_backup_of_complete_epochs_is_refused_by_name(folder):
    path = folder(2)
    tear(path / WEIGHTS)
    with pytest.raises(ValueError, match="cannot be read") as error:
        fit(path)
    assert f"Delete the folder {str(path)!r}" in str(error.value)
    assert f"Received: path={str(path / WEIGHTS)!r}" in str(error.value)
    assert (path / METADATA).exists()


def test_the_backup_before_a_torn_one_is_taken(folder):
    path = folder(2, double=True)
    tear(path / WEIGHTS)
    torn = (path / WEIGHTS).read_bytes()
    found, damaged = mend_backup(path), path / f"{WEIGHTS}.damaged"
    assert f"kept as {str(damaged)!r}. Training continues" in found
    assert damaged.read_bytes() == torn and epoch_of(path) == 1
    assert mend_backup(path) is None
    (path / f"{METADATA}.bkp").unlink()
    tear(path / WEIGHTS)
    assert "after 1 epochs" in mend_backup(path)
    assert epoch_of(path) == 1


def test_weights_of_other_code_say_nothing_of_their_epoch(folder):
    path = folder(2)
    zoo.light(eager=True).save_weights(path / WEIGHTS)
    assert mend_backup(path) is None
    (path / METADATA).write_text("")
    with pytest.raises(ValueError, match="do not say after which epoch"):
        mend_backup(path)
    (path / METADATA).unlink()
    assert "begins with the first epoch" in mend_backup(path)


def test_a_whole_backup_and_a_missing_one_are_left_alone(folder, tmp_path):
    path = folder(2, double=True)
    before = {one.name: one.read_bytes() for one in path.iterdir()}
    assert mend_backup(path) is None
    assert before == {one.name: one.read_bytes() for one in path.iterdir()}
    assert mend_backup(tmp_path / "none") is None
    # A longer epoch count than the weights': the user's own file.
    (path / METADATA).write_text('{"epoch": 5, "batch": 0}')
    assert mend_backup(path) is None
    assert epoch_of(path) == 5


def test_a_second_kill_in_the_epoch_that_was_resumed_loses_no_epoch(folder):
    """Keras then writes epoch 0: it counts from 0 in each process."""
    path = folder(2)

    class Stop(Exception):
        pass

    def stop(model):
        raise Stop

    with pytest.raises(Stop):
        fit(path, probes.AtBatch(2, stop), save_freq=1)
    assert epoch_of(path) == 0
    with pytest.warns(NoEffectWarning, match="continues after 2 epochs"):
        fit(path)


def test_masks_are_whole_at_the_end(whole):
    masked = [v for k, v in whole[1].items() if v.dtype == bool]
    assert masked and not np.concatenate([m.ravel() for m in masked]).all()
