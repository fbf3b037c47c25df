"""Fixtures of the contract checks, and exemptions."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
from contract import (
    callback_setting,
    child,
    layer_settings,
    layer_trials,
    probes,
    resume,
    rows,
)
from contract.exemptions import expect_failure
from contract.trials import Trials


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "check(id): the contract's check that a test makes"
    )


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """A check that a registry row exempts must fail."""
    mark = pyfuncitem.get_closest_marker("check")
    setting = pyfuncitem.funcargs.get("setting")
    limits = setting.row.limits if setting is not None else {}
    if mark is None or mark.args[0] not in limits:
        return (yield)
    with expect_failure(setting.component, mark.args[0], limits[mark.args[0]]):
        return (yield)


@pytest.fixture(scope="session")
def trials(tmp_path_factory) -> Trials:
    return Trials(tmp_path_factory.mktemp("trials"))


@pytest.fixture(scope="session")
def layer_runs(tmp_path_factory) -> layer_trials.LayerTrials:
    return layer_trials.LayerTrials(tmp_path_factory.mktemp("layers"))


@pytest.fixture
def case(tmp_path) -> callback_setting.Case:
    return callback_setting.case("mlp", tmp_path)


@contextlib.contextmanager
def policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@dataclass(frozen=True)
class Child:
    """The tracebacks of the checks of `contract.child`, "" if they pass."""

    root: Path
    results: dict[str, str]

    def resumed(self, run: resume.Run) -> probes.Arrays:
        assert self.results[run.name] == ""
        with np.load(self.root / f"{run.name}.npz") as file:
            return dict(file)


@pytest.fixture(scope="session")
def new_process(request, tmp_path_factory, trials, layer_runs) -> Child:
    for setting, model in rows.FILES:
        trials.get(setting, model)
    for run in resume.RUNS:
        trials.get(resume.SETTINGS[run.setting], run.model)
    for layer in layer_settings.LAYERS:
        layer_runs.get(layer)
    root = tmp_path_factory.mktemp("child")
    (root / "trials").symlink_to(trials.root)
    (root / "layers").symlink_to(layer_runs.root)
    devices = [
        item.callspec.params["setting"].name
        for item in request.session.items
        if item.name.startswith("test_two_devices")
    ]
    return Child(root, child.run(root, devices))
