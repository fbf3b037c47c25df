"""benchmarks/device.py on the CPU, with a few cases."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.device", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=500,
    )


@pytest.mark.slow
def test_a_small_run_trains_on_a_device_and_writes_nothing():
    backend = keras.backend.backend()
    before = sorted((ROOT / "benchmarks/results").iterdir())

    done = run(
        *("--small", "--device", "cpu:0", "--backends", backend),
        *("--parts", "lowering", "agreement", "correctness"),
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert f"benchmarks.devices.correctness on {backend}" in done.stdout
    assert done.stdout.count("'weights': 0.0") >= 3
    assert sorted((ROOT / "benchmarks/results").iterdir()) == before


@pytest.mark.slow
def test_a_device_that_is_not_there_is_named():
    backend = keras.backend.backend()

    done = run("--small", "--backends", backend, "--parts", "correctness")

    assert done.returncode != 0
    assert f"The {backend} backend must have the device" in done.stderr
    assert "Received: --device gpu:0, where it has 0" in done.stderr


@pytest.fixture
def devices(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.devices import tables, train

    return tables, train


class Fake:
    """A model with given weights."""

    def __init__(self, *weights):
        self.weights = [np.array(one, "float32") for one in weights]

    def get_weights(self):
        return self.weights


def plain(**options):
    return contextlib.nullcontext(), options


@pytest.mark.no_backend
def test_differences_and_failures_are_told(devices):
    _, train = devices

    def fit(folder, size=2, add=0.0, fails=False):
        if fails:
            raise RuntimeError("no kernel")
        model = Fake(np.full(size, 0.5 + add), [-3.0])
        return model, {"loss": [9.0, 1.0 + add]}

    assert train.compare(fit, plain(), plain(add=0.25)) == {
        "weights": 0.25,
        "loss": 0.25,
        "largest": 3.0,
    }
    found = train.compare(fit, plain(), plain(fails=True))
    assert found == {"failed": "RuntimeError: no kernel"}
    found = train.compare(fit, plain(), plain(size=3))
    assert found["failed"].startswith("shapes differ: [(2,), (1,)] and [(3,)")


@pytest.mark.no_backend
def test_the_table_shows_the_worst_case_and_what_was_not_run(
    devices, monkeypatch
):
    tables, _ = devices
    rows = {
        tables.LOWERING: [
            {"component": "a", "lowered": 2, "failures": []},
            {"component": "a", "lowered": 3, "failures": []},
            {"component": "b", "lowered": 0, "failures": ["step: no rule"]},
        ],
        tables.AGREEMENT: [
            {"component": "a", "weights": 0.0},
            {"component": "a", "weights": 2e-7},
            {"component": "c", "failed": "RuntimeError: no kernel"},
            {"component": "d", "weights": 0.0},
        ],
    }
    monkeypatch.setattr(tables, "load", lambda name: {"rows": rows[name]})
    monkeypatch.setattr(tables, "_exists", lambda name: True)

    assert tables.support_table().splitlines()[2:] == [
        "| `a` | yes (5) | differ by 2.0e-07 at most |",
        "| `b` | no: step: no rule | not run |",
        "| `c` | not run | no: RuntimeError: no kernel |",
        "| `d` | not run | equal |",
    ]
