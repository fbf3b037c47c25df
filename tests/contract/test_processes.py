"""C5, C6, C13: new processes, killed processes and two devices.

What waits for the same child processes is in one file: several workers take
whole files, so one of them starts the children.
"""

import signal

import keras
import numpy as np
import pytest
from contract import layer_settings, probes, resume
from contract.rows import FILES, ONE_QUICK

NOT_COMPARED = ("recorder", "half")
SKIPPED = pytest.mark.skipif(
    keras.backend.backend() == "torch",
    reason="Keras on torch trains on one device; DDP is not run",
)


@pytest.mark.check("C5")
@pytest.mark.parametrize(("setting", "model"), FILES, ids=str)
@pytest.mark.parametrize("kind", ["plain", "model", "weights"])
def test_files_load_in_a_fresh_process(setting, model, kind, children, trials):
    """`plain` loads it before keras_netopt is imported."""
    folder = trials.get(setting, model).folder
    assert children.results[f"{kind} {folder.name}"] == ""


@pytest.mark.check("C5")
@pytest.mark.parametrize("layer", layer_settings.LAYERS, ids=str)
def test_layers_load_and_train_on_in_a_fresh_process(layer, children):
    """Also C6: bit for bit equal to an uninterrupted run."""
    assert children.results[f"layer {layer}"] == ""


@pytest.mark.check("C5")
def test_losses_are_registered_in_a_fresh_process(children):
    assert children.results["losses"] == ""


@pytest.mark.check("C6")
@pytest.mark.parametrize("run", resume.EXACT, ids=lambda run: run.name)
def test_a_killed_run_resumes_as_if_never_interrupted(run, children):
    assert children.killed == -signal.SIGKILL
    resumed = children.resumed(run)
    whole = children.whole(run)
    half = {k: v for k, v in whole.items() if k.startswith("half")}
    excluded = NOT_COMPARED
    if "backup" not in run.keeper:
        # A loaded model does not hold the sparsity at which `fit` began.
        excluded = (*excluded, "checkpoint meta")
    if run.keeper == "file":
        excluded = (*excluded, "checkpoint random")  # `load_masks` restores it.

    probes.assert_same(
        resume.without(resumed, excluded), resume.without(whole, excluded)
    )
    assert half
    assert any(
        not np.array_equal(value, whole[key.removeprefix("half ")])
        for key, value in half.items()
    )
    assert (run.setting == "BestCheckpoint") == ("best weight 0" in whole)
    for name in ("recorder updates", "recorder masked"):
        tail = resumed[name][1:]
        assert len(tail) in (0, 8)
        np.testing.assert_array_equal(tail, whole[name][9:])


@pytest.mark.check("C6")
@pytest.mark.parametrize("run", resume.FREQUENT, ids=lambda run: run.name)
def test_an_epoch_that_keras_repeats_follows_the_schedule(run, children):
    """Saved at step 9, where an update is due, and resumed at step 8."""
    resumed = children.resumed(run)
    made_before = 6 if run.keeper == "backup first" else 9
    n = 16 * 8 + 16 * 3

    assert resumed["recorder steps"].tolist() == list(range(8, 17))
    assert resumed["recorder updates"].tolist() == [
        made_before, 9, 9, 9, *[12] * 5
    ]  # fmt: skip
    wanted = {6: 0.5 / 3, 9: 1.0 / 3, 12: 0.5}
    assert resumed["recorder masked"].tolist() == [
        round(n * wanted[u]) for u in resumed["recorder updates"]
    ]


@SKIPPED
@pytest.mark.check("C13")
@ONE_QUICK
def test_two_devices_train_as_one(setting, children):
    """MirroredStrategy or DataParallel, see `contract.devices`."""
    assert children.results[f"devices {setting}"] == ""
