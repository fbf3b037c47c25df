"""C3, C20, C23 for oracles: seeds, exhaustion, resume, arguments, cards."""

import importlib.util
import inspect
import re
from pathlib import Path

import keras_tuner
import pytest
from contract import oracles

from keras_netopt import registry, search

CARDS = Path(__file__).resolve().parents[2] / "docs" / "methods"
INSTALLED = [
    setting
    for setting in oracles.ORACLES
    if setting.needs is None or importlib.util.find_spec(setting.needs)
]
EVERY = pytest.mark.parametrize("setting", INSTALLED, ids=str)
BAD = [
    pytest.param(setting, name, id=f"{setting}-{name}")
    for setting in INSTALLED
    for name in setting.all_bad()
]
pytestmark = pytest.mark.no_backend


def sixteen():
    hp = keras_tuner.HyperParameters()
    hp.Int("a", 0, 3)
    hp.Choice("b", ["b0", "b1", "b2", "b3"])
    return hp


def arguments(setting):
    """All arguments: a class that takes `options` passes them to the base."""
    own = inspect.signature(getattr(search, setting.row.short_name)).parameters
    shared = inspect.signature(search.SearchOracle).parameters
    names = {*own, *(shared if "options" in own else ())}
    return names if setting.takes_trials else names - {"max_trials"}


def run(setting, folder, most=1000, seed=0):
    oracle = setting.build(sixteen(), seed=seed)
    oracle._set_project_dir(str(folder), "p")
    oracle.verbose = 0
    if (folder / "p" / "oracle.json").exists():
        oracle.reload()
    for _ in range(most):
        trial = oracle.create_trial("worker")
        if trial.status == "STOPPED":
            break
        values = trial.hyperparameters.values
        metrics = {"val_loss": values["a"] ** 2.0, "cost": -values["a"]}
        if not isinstance(setting.objective, list):
            del metrics["cost"]
        oracle.update_trial(trial.trial_id, metrics)
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return [
        (name, oracle.trials[name].hyperparameters.values)
        for name in oracle.start_order
    ]


def test_every_oracle_has_a_row():
    public = {f"search.{name}" for name in oracle_names()}
    in_registry = {r.name for r in registry.METHODS if r.kind == "oracle"}
    assert public == in_registry == set(oracles.BY_COMPONENT)


def oracle_names():
    for name in search.__all__:
        found = getattr(search, name)
        if inspect.isclass(found) and issubclass(found, keras_tuner.Oracle):
            if found is not search.SearchOracle:
                yield name


@pytest.mark.check("C3")
@EVERY
def test_sixteen_points_are_tried_once_and_a_seed_repeats(setting, tmp_path):
    first = run(setting, tmp_path / "a")
    assert first == run(setting, tmp_path / "b")
    new = [
        (values["a"], values["b"])
        for _, values in first
        if not values.get("tuner/round")
    ]
    assert len(new) == len(set(new)) == 16


@pytest.mark.check("C3")
@EVERY
def test_a_resumed_search_equals_an_uninterrupted_one(setting, tmp_path):
    whole = run(setting, tmp_path / "whole")
    run(setting, tmp_path / "cut", most=7)
    assert run(setting, tmp_path / "cut") == whole


@pytest.mark.check("C20")
@EVERY
def test_each_argument_has_an_invalid_value(setting):
    known = {*setting.all_bad(), *oracles.KERAS_TUNER}
    assert arguments(setting) <= known
    assert set(setting.all_bad()) <= arguments(setting)


@pytest.mark.check("C20")
@pytest.mark.parametrize(("setting", "name"), BAD)
def test_a_wrong_value_is_refused(setting, name):
    with pytest.raises((TypeError, ValueError)) as error:
        setting.build(None, **{name: setting.all_bad()[name]})
    text = str(error.value)
    assert re.match(rf"Argument `{name}` must ", text), text
    assert "Received: " in text


@pytest.mark.check("C23")
@EVERY
def test_the_card_lists_each_argument(setting):
    text = (CARDS / f"{setting.row.card}.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"`(\w+)`", text))
    shown |= set(re.findall(r"(\w+)=", text))
    assert arguments(setting) - {"options"} <= shown
