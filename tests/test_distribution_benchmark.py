"""How `benchmarks.distribution` judges runs, on results made by hand."""

import json

import numpy as np
import pytest

pytestmark = pytest.mark.no_backend
TEXT = "Use one device. Received: 2"
REFUSAL = {"error": "ValueError", "text": TEXT, "trained": False}


@pytest.fixture
def judge(tmp_path):
    """Compares what one device and the two replicas have left."""
    from benchmarks.distribution.compare import compare, file_of

    def judge(alone, found, kind="mirrored", number=1):
        found = found if isinstance(found, list) else [found]
        for name, results in {"one tensorflow": [alone], kind: found}.items():
            for worker, result in enumerate(results):
                path = file_of(tmp_path, name, number, worker)
                path.parent.mkdir(exist_ok=True)
                if "error" in result:
                    text = json.dumps(result).replace("FOLDER", str(tmp_path))
                    path.with_suffix(".json").write_text(text)
                else:
                    np.savez(path.with_suffix(".npz"), **result)
        return compare(tmp_path, kind, number)

    return judge


def test_a_differing_array_gives_its_difference(judge):
    alone = {"a": np.zeros(3), "b": np.array([True, False])}
    found = {"a": np.array([0, -0.25, 0.125]), "b": alone["b"]}
    assert judge(alone, found) == {"difference": 0.25, "where": "a"}


def test_not_a_number_is_the_worst_difference(judge):
    alone = {"a": np.zeros(1), "b": np.ones(1)}
    first = {"a": [np.nan], "b": [9]}
    row = judge(alone, [{"a": [0], "b": [7]}, first], "multi worker")
    assert np.isnan(row["difference"])
    assert row["where"] == "a"


def test_of_two_workers_the_worst_counts(judge):
    found = [{"a": [1.0]}, {"a": [3.0]}]
    row = judge({"a": [1.0]}, found, "multi worker")
    assert row == {"difference": 2.0, "where": "a"}


def test_a_failed_worker_counts_more_than_one_that_refuses(judge):
    late = {**REFUSAL, "trained": True}
    row = judge({"a": [1.0]}, [REFUSAL, late], "multi worker")
    assert row == {"failed": TEXT}


@pytest.mark.parametrize(
    "found", [{"b": np.zeros(2)}, {"a": np.zeros(3)}], ids=["names", "shapes"]
)
def test_other_results_are_failures(judge, found):
    assert list(judge({"a": np.zeros(2)}, found)) == ["failed"]


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({}, "refused"),
        ({"trained": True}, "failed"),
        ({"error": "TypeError"}, "failed"),
        ({"text": "Dimensions must be equal"}, "failed"),
    ],
)
def test_only_an_error_of_ours_before_a_step_is_a_refusal(judge, changed, word):
    found = {**REFUSAL, **changed}
    assert judge({"a": np.zeros(2)}, found) == {word: found["text"]}


def test_keras_refuses_a_plain_fit_in_its_own_words(judge):
    found = {**REFUSAL, "text": "Not supported"}
    row = judge({"a": np.zeros(2)}, found, number=0)
    assert row == {"refused": "Not supported"}


def test_error_on_one_device_is_a_failure(judge):
    row = judge(REFUSAL, {"a": np.zeros(2)})
    assert row == {"failed": f"on one device: {TEXT}"}


def test_texts_name_no_folders(judge):
    text = "FOLDER/mirrored/files 1_0/x.h5, /a.b/c-d/y.h5, 3/4. Received: 3"
    row = judge({"a": np.zeros(2)}, {**REFUSAL, "text": text})
    assert row["refused"] == "files 1_0/x.h5, y.h5, 3/4. Received: 3"


def test_a_run_that_is_not_there_is_none(tmp_path):
    from benchmarks.distribution.compare import compare

    assert compare(tmp_path, "mirrored", 0) is None


def test_tables_before_and_after_a_measurement(tmp_path, monkeypatch):
    from benchmarks import records
    from benchmarks.distribution import tables

    for module in (records, tables):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    for make in tables.TABLES.values():
        assert make() == "Not measured yet."
    first, second, third, fourth = tables.KINDS
    rows = [
        {"piece": "P", "kind": first, "difference": 2e-7, "where": "a"},
        {"piece": "P", "kind": second, "refused": "no"},
        {"piece": "P", "kind": third, "failed": "broken"},
        {"piece": "P", "kind": fourth},
    ]
    path = tmp_path / "distribution.json"
    path.write_text(json.dumps({"rows": rows}))
    line = tables.differences_table().splitlines()[-1]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == ["P", "2.0e-07", "refused (1)", "failed (2)", "not run"]
    assert "broken" in tables.reasons_table()


def test_collected_are_the_runs_in_the_folder(tmp_path, monkeypatch):
    from benchmarks import records
    from benchmarks.distribution import __main__ as command
    from benchmarks.distribution.compare import file_of

    runs = tmp_path / "runs"
    for kind in ("one tensorflow", "mirrored"):
        path = file_of(runs, kind, 0).with_suffix(".npz")
        path.parent.mkdir(parents=True)
        np.savez(path, a=np.ones(2))
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    arguments = ["distribution", "--collect", "--folder", str(runs)]
    monkeypatch.setattr("sys.argv", arguments)
    command.main()
    found = json.loads((tmp_path / "distribution.json").read_text())
    assert found["settings"]["sources"] is None
    assert str(tmp_path) not in json.dumps(found)
    measured = [row for row in found["rows"] if "difference" in row]
    assert [(row["piece"], row["kind"]) for row in measured] == [
        ("plain fit", "Mirrored 2")
    ]
    assert all(set(r) <= {"piece", "kind", "run"} for r in found["rows"][1:])


def test_a_folder_with_runs_of_other_sources_is_refused(tmp_path):
    from benchmarks.distribution import sources

    sources.stamp(tmp_path)
    sources.stamp(tmp_path)
    assert sources.read_stamp(tmp_path) == sources.hash_sources()
    (tmp_path / "sources").write_text("0")
    with pytest.raises(ValueError, match="runs of the present sources"):
        sources.stamp(tmp_path)
