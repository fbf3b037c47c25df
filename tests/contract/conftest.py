"""Fixtures of the contract checks, and exemptions."""

import contextlib
import json
import os
import signal
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    settings,
    zoo,
)
from contract.exemptions import expect_failure


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


@pytest.fixture(scope="session", autouse=True)
def compile_once(tmp_path_factory):
    """On JAX, compiles each model of the zoo once for all copies."""
    if keras.backend.backend() != "jax":
        yield None
        return
    import jax

    folder = tmp_path_factory.mktemp("jax")
    for name, value in cache_options(folder).items():
        jax.config.update(name, value)
    yield folder
    jax.config.update("jax_compilation_cache_dir", None)


def cache_options(folder: Path) -> dict[str, Any]:
    return {
        "jax_compilation_cache_dir": str(folder),
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }


@dataclass(frozen=True)
class Trial:
    """A model of the zoo after two epochs with a callback."""

    model: keras.Model
    before: keras.Model
    callback: Any
    history: dict[str, list[float]]
    layers: list[keras.Layer]
    folder: Path
    warnings: list[str]


class Trials:
    """Trains each setting on each model once, for all checks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.done: dict[tuple[str, str], Trial] = {}

    def get(self, setting: callback_setting.Setting, model: str) -> Trial:
        key = (setting.name, model)
        if key not in self.done:
            folder = self.root / f"{model} {setting.name}".replace(":", "")
            folder.mkdir()
            self.done[key] = self._run(setting, model, folder)
        return self.done[key]

    def _run(self, setting, name, folder):
        model = zoo.compiled(name)
        layers = list(model.layers)
        case = callback_setting.case(name, folder)
        callbacks = setting.callbacks(case)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            history = probes.fit(
                model, name, callbacks, validation_data=zoo.data(name)
            )
        model.save(folder / "model.keras")
        model.save_weights(folder / "model.weights.h5")
        np.savez(
            folder / "expected.npz",
            probes.predictions(model, name),
            *probes.keras_slots(model),
        )
        shown = [str(w.message) for w in told if "__array__" not in str(w)]
        return Trial(
            model,
            zoo.build(name),
            callbacks[-1],
            history,
            layers,
            folder,
            shown,
        )


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
class Children:
    """Results of the processes of `contract.child`."""

    root: Path
    killed: int
    results: dict[str, str]

    def resumed(self, run: resume.Run) -> dict[str, np.ndarray]:
        assert self.results[f"resume {run.name}"] == ""
        return _read(resume.folder_of(run, self.root) / "resumed.npz")

    def whole(self, run: resume.Run) -> dict[str, np.ndarray]:
        assert self.results[f"whole {run.name}"] == ""
        return _read(resume.whole_of(run, self.root))


IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ


def pytest_collection_modifyitems(items):
    """Sorts tests that wait for other processes to the end.

    With several workers one of them waits, so they come first there.
    """
    items.sort(key=_needs_children, reverse=IS_WORKER)


def _needs_children(item):
    return "children" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session")
def resuming(tmp_path_factory, compile_once):
    """The processes of C6, which run in parallel to other tests."""
    root = tmp_path_factory.mktemp("children")
    process = child.start("resume", root, compile_once)
    yield root, process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="session", autouse=True)
def start_early(request):
    items = request.session.items
    if not IS_WORKER and any(map(_needs_children, items)):
        request.getfixturevalue("resuming")


@pytest.fixture(scope="session")
def children(resuming, trials, layer_runs, compile_once) -> Children:
    root, process = resuming
    for setting in settings.CALLBACKS:
        trials.get(setting, "mlp")
    for model in zoo.BUILDERS:
        trials.get(settings.CALLBACKS[0], model)
    for layer in layer_settings.LAYERS:
        layer_runs.get(layer)
    (root / "trials").symlink_to(trials.root)
    (root / "layers").symlink_to(layer_runs.root)
    files = child.start("files", root, compile_once)
    for one in (files, process):
        one.wait(child.TIME_LIMIT)
    results: dict[str, str] = {}
    for kind in ("resumed", "files"):
        found = root / f"{kind}.json"
        assert found.exists(), (root / f"{kind}.log").read_text()[-3000:]
        results.update(json.loads(found.read_text()))
    return Children(root, int((root / "killed.code").read_text()), results)


def _read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)
