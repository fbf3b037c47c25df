"""C5, C6, C13: files, interrupted runs and two devices in a new process.

What waits for the process is in one file: several workers take whole files,
so one of them starts it.
"""

import signal
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest
from contract import child, layer_settings, probes, resume, settings
from contract.rows import FILES, ONE_QUICK

NOT_COMPARED = ("masked", "half")


@pytest.mark.check("C5")
@pytest.mark.parametrize(("setting", "model"), FILES, ids=str)
@pytest.mark.parametrize("kind", ["plain", "model", "weights"])
def test_files_load_in_a_new_process(setting, model, kind, new_process, trials):
    """`plain` loads it before keras_netopt is imported."""
    folder = trials.get(setting, model).folder
    assert new_process.results[f"{kind} {folder.name}"] == ""


@pytest.mark.check("C5")
@pytest.mark.parametrize("layer", layer_settings.LAYERS, ids=str)
def test_layers_load_and_train_on_in_a_new_process(layer, new_process):
    """Also C6: bit for bit equal to an uninterrupted run."""
    assert new_process.results[f"layer {layer}"] == ""


@pytest.mark.check("C5")
def test_losses_are_registered_in_a_new_process(new_process):
    assert new_process.results["losses"] == ""


@pytest.mark.check("C6")
@pytest.mark.parametrize("run", resume.EXACT, ids=lambda run: run.name)
def test_a_killed_run_resumes_as_if_never_interrupted(run, new_process, trials):
    resumed = new_process.resumed(run)
    whole = trials.get(resume.SETTINGS[run.setting], run.model).whole
    half = {k: v for k, v in whole.items() if k.startswith("half")}
    excluded = NOT_COMPARED
    if run.keeper in ("file", "masks"):
        # A loaded model does not hold the sparsity at which `fit` began.
        excluded = (*excluded, "checkpoint meta")
    if run.keeper == "file":
        excluded = (*excluded, "checkpoint random")  # `load_masks` restores it.

    compare = probes.assert_same
    if run.model == "cnn" and keras.backend.backend() == "torch":
        compare = probes.assert_close  # Its convolutions differ by rounding.
    compare(resume.without(resumed, excluded), resume.without(whole, excluded))
    assert half
    assert any(
        not np.array_equal(value, whole[key.removeprefix("half ")])
        for key, value in half.items()
    )
    is_best = "BestCheckpoint" in resume.SETTINGS[run.setting].component
    assert is_best == ("best weight 0" in whole)
    tail = resumed["masked"][1:]
    assert len(tail) in (0, 8)
    np.testing.assert_array_equal(tail, whole["masked"][9:])


@pytest.mark.slow
@pytest.mark.check("C6")
def test_a_killed_process_leaves_what_runs_resume_from(trials, tmp_path):
    """The other checks copy the files in the middle of an epoch."""
    code = (
        "import pathlib, sys; from contract import resume;"
        "resume.train_until_killed(pathlib.Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        env=child.environment(),
        timeout=child.TIME_LIMIT,
    )
    trial = trials.get(settings.CALLBACKS[0], "mlp")
    left, copied = tmp_path / "work", trial.folder / "in an epoch"

    assert done.returncode == -signal.SIGKILL
    assert _files_in(left) == _files_in(copied)
    assert "last/latest.weights.h5" in _files_in(left)
    mine, theirs = (_weights_in(folder) for folder in (left, copied))
    probes.assert_close(mine, theirs)
    assert mine


@pytest.mark.check("C6")
@pytest.mark.parametrize("run", resume.ENDED, ids=lambda run: run.name)
def test_a_run_killed_behind_its_last_backup_is_complete(
    run, new_process, trials
):
    """Keras begins no epoch: states are taken at the end of `fit`."""
    resumed = new_process.resumed(run)
    whole = trials.get(resume.SETTINGS[run.setting], run.model).whole

    probes.assert_same(
        resume.without(resumed, NOT_COMPARED),
        resume.without(whole, NOT_COMPARED),
    )


def _files_in(folder):
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file()
    )


def _weights_in(folder):
    found = {}

    def read(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(folder / "last" / "latest.weights.h5") as file:
        file.visititems(read)
    return found


@pytest.mark.check("C6")
@pytest.mark.parametrize("run", resume.FREQUENT, ids=lambda run: run.name)
def test_an_epoch_that_keras_repeats_follows_the_schedule(run, new_process):
    """Saved at step 9, where an update is due, and resumed at step 8."""
    made_before = 6 if run.keeper == "first" else 9
    n = 16 * 8 + 16 * 3
    wanted = {6: 0.5 / 3, 9: 1.0 / 3, 12: 0.5}
    updates = [made_before, 9, 9, 9, *[12] * 5]

    assert new_process.resumed(run)["masked"].tolist() == [
        round(n * wanted[update]) for update in updates
    ]


# Keras on torch trains on one device.
if keras.backend.backend() != "torch":

    @pytest.mark.check("C13")
    @ONE_QUICK
    def test_two_devices_train_as_one(setting, new_process):
        """MirroredStrategy or DataParallel, see `contract.devices`."""
        assert new_process.results[f"devices {setting}"] == ""
