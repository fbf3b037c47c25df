"""Which callbacks `benchmarks.crashes` kills, and how it judges runs."""

import sys

import numpy as np
import pytest

from keras_netopt import registry

pytestmark = pytest.mark.no_backend


@pytest.fixture
def judge():
    from benchmarks.crashes.judge import Judge

    return Judge()


def test_every_public_callback_has_a_case():
    from benchmarks.crashes.cases import list_cases

    cases = list_cases()
    first = [row.name for row in registry.METHODS if row.kind == "callback"]
    assert [case.component for case in cases[: len(first)]] == first
    names = [case.name for case in cases]
    assert len(names) == len(set(names))


def test_equal_results_lose_nothing(judge, tmp_path):
    result = {"a": np.array([1.0, np.nan]), "b": np.arange(3)}
    np.savez(tmp_path / "result.npz", **result)
    judge.compare(tmp_path / "result.npz", result)
    row = judge.row()
    assert (row["runs"], row["lost"], row["unexplained"]) == (1, 0, 0)
    assert row["details"] == []


@pytest.mark.parametrize(
    ("warning", "unexplained"), [("", 1), ("Warning: BackupAndRestore", 0)]
)
def test_a_changed_array_is_lost(judge, tmp_path, warning, unexplained):
    """It is explained if a warning of the run has named the backup."""
    from benchmarks.crashes.child import Outcome

    judge.note(Outcome(None, "", (warning,) if warning else ()), tmp_path)
    np.savez(tmp_path / "result.npz", a=np.ones(3), b=np.ones(2))
    expected = {"a": np.array([1.0, 1.0, 1.0 + 1e-12]), "b": np.ones(2)}
    judge.compare(tmp_path / "result.npz", expected)
    row = judge.row()
    assert (row["lost"], row["unexplained"]) == (1, unexplained)
    assert row["details"] == ["1 of 2 arrays: ['a']"]


def test_a_missing_result_is_lost_and_unexplained(judge, tmp_path):
    assert not judge.follow_remedy("Traceback\nOSError: torn", tmp_path)
    judge.compare(tmp_path / "result.npz", {})
    row = judge.row()
    assert (row["lost"], row["unexplained"]) == (1, 1)
    assert row["details"] == ["OSError: torn"]


def test_a_remedy_is_followed(judge, tmp_path):
    for name in ("backup", "kept"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.h5").touch()
    for text in ("folder 'backup'", "file 'kept/x.h5'"):
        error = f"Traceback\nValueError: It is torn. Delete the {text}"
        assert judge.follow_remedy(error, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert not list((tmp_path / "kept").iterdir())
    assert judge.row()["remedies"] == 2


@pytest.mark.parametrize("target", ["../other", ".", "missing"])
def test_a_remedy_deletes_nothing_outside_its_folder(judge, tmp_path, target):
    folder = tmp_path / "run"
    for path in (folder, tmp_path / "other"):
        path.mkdir()
    error = f"ValueError: Delete the folder '{target}'"
    assert not judge.follow_remedy(error, folder)
    assert len(list(tmp_path.iterdir())) == 2
    assert judge.row()["remedies"] == 0


def test_kills_and_torn_files_are_counted(judge, tmp_path):
    from benchmarks.crashes.child import Outcome

    (tmp_path / "a.weights.h5").write_bytes(b"\x89HDF")
    judge.note(Outcome('"batch"', "", ()), tmp_path)
    judge.note(Outcome(None, "", ()), tmp_path)
    row = judge.row()
    assert (row["starts"], row["kills"], row["torn"]) == (2, 1, 1)
    assert row["moments"] == {"batch": 1}


@pytest.fixture
def campaign(tmp_path, monkeypatch):
    """Runs the command line; lists what it would kill: case, kills, seed."""
    from benchmarks import records
    from benchmarks.crashes import runs

    measured = []

    def measure(plan, kills, seed):
        measured.append((plan.name, kills, seed))
        return {"lost": 0}

    monkeypatch.setattr(records, "RESULTS", tmp_path)
    monkeypatch.setattr(runs, "measure", measure)
    plans = {
        f"callbacks.{name} {name}": runs.Plan(name, None, None, {})
        for name in "AB"
    }

    def run(*arguments):
        measured.clear()
        monkeypatch.setattr(sys, "argv", ["campaign", *arguments])
        runs.measure_all("crashes", {"epochs": 4}, plans)
        return list(measured)

    run.path, run.measured = tmp_path / "crashes.json", measured
    return run


@pytest.mark.parametrize(
    "arguments", [["--kills", "3"], ["--seed", "1"], ["--seed", "1", "--fresh"]]
)
def test_other_kills_are_not_mixed_with_stored_ones(
    campaign, capsys, arguments
):
    assert campaign("--cases", "A") == [("A", 20, 0)]
    before = campaign.path.read_bytes()
    campaign.measured.clear()
    with pytest.raises(SystemExit) as ended:
        campaign(*arguments)
    assert ended.value.code == 2 and not campaign.measured
    assert "need --try-out" in capsys.readouterr().err
    assert campaign.path.read_bytes() == before
    found = campaign(*arguments, "--kills", "5", "--try-out")
    seed = 1 if "--seed" in arguments else 0
    assert found == [("A", 5, seed), ("B", 5, seed)]
    assert campaign.path.read_bytes() == before


def test_stored_kills_are_kept_until_their_settings_change(
    campaign, monkeypatch
):
    from benchmarks.crashes import runs

    whole = [("A", 20, 0), ("B", 20, 0)]
    assert campaign("--cases", "A") == whole[:1]
    assert campaign() == whole[1:]
    assert campaign() == []
    assert campaign("--fresh") == whole
    monkeypatch.setattr(runs, "SETTINGS", {"kills": 21})
    assert campaign() == whole
