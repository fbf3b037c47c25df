"""Files of costs that several processes write at once."""

import os

import pytest

from keras_netopt.search import storage
from keras_netopt.search.measured_costs import MeasuredCosts

pytestmark = pytest.mark.no_backend


def test_writes_of_two_processes_do_not_meet(tmp_path, monkeypatch):
    """A second writer begins and ends before the first replaces the file."""
    path = str(tmp_path / "costs.json")
    replace, names = os.replace, []

    def slow(source, target):
        names.append(source)
        if len(names) == 1:
            storage.write_json(path, "second")
        replace(source, target)

    monkeypatch.setattr(os, "replace", slow)
    storage.write_json(path, "first")
    assert storage.read_json(path) == "first"
    assert len(set(names)) == 2
    assert os.listdir(tmp_path) == ["costs.json"]
    assert {os.path.dirname(one) for one in names} == {str(tmp_path)}


def test_a_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = str(tmp_path / "costs.json")
    storage.write_json(path, "old")

    def fail(source, target):
        raise OSError("full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="full"):
        storage.write_json(path, "new")
    assert storage.read_json(path) == "old"
    assert os.listdir(tmp_path) == ["costs.json"]


def test_costs_of_all_writers_are_kept(tmp_path):
    path = str(tmp_path / "costs.json")
    first, second = MeasuredCosts(path), MeasuredCosts(path)
    first.add("a", 1.0)
    second.add("b", 2.0)
    os.remove(path)  # As if another writer had replaced the file.
    second.add("c", 3.0)
    first.add("d", 4.0)
    found = storage.read_json(path)["costs"]
    assert found == {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
