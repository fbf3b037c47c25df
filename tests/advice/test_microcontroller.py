"""End to end: a file is written, checked and, with the extra, run."""

import importlib.util

import numpy as np
import pytest
from advice import models
from litert_by_hand import write_dense

from keras_netopt.export import advise
from keras_netopt.export.micro import run_file

MODEL = "to_c_array"


@pytest.fixture
def path(tmp_path):
    return write_dense(
        tmp_path / "net.tflite", np.eye(8, 4), np.zeros(4), batch=1
    )


@pytest.mark.backend("tensorflow")
def test_a_model_is_measured_as_the_file_that_is_shipped():
    advice = advise(models.mlp((64, 64)), "microcontroller")

    finding = advice.findings[0]
    assert MODEL in finding.code
    assert finding.evidence == "measured here"
    assert "Flash: " in finding.effect
    assert "RAM: " in finding.effect
    assert not any(" ms" in fact for fact in advice.facts)
    if importlib.util.find_spec("tflite_micro"):
        assert "TensorFlow Lite Micro ran" in finding.effect


def test_a_file_that_runs_is_written_as_an_array(path):
    advice = advise(path, "microcontroller")

    assert any(MODEL in one.code for one in advice.findings)
    assert not any(one.kind == "problem" for one in advice.findings)


def test_without_the_extra_the_run_is_missed(path, monkeypatch):
    monkeypatch.setattr(run_file, "find_installed", lambda: None)

    last = advise(path, "microcontroller").findings[-1]

    assert last.kind == "not looked at"
    assert last.code == 'pip install "keras-netopt[micro]"'


def test_the_file_is_not_run_without_measuring(path, monkeypatch):
    def fail(*args, **options):
        raise AssertionError

    monkeypatch.setattr(run_file, "run_file", fail)

    assert advise(path, "microcontroller", measure=False).findings == ()
