"""C20, C23: documentation and error messages of components."""

import doctest
import importlib
import inspect
import json
import re
import shutil
from pathlib import Path

import keras
import pytest
from contract import functions, layer_settings, probes, settings, zoo
from contract.exemptions import expect_failure
from contract.rows import ONE_PER_COMPONENT

import keras_netopt as netopt
from keras_netopt import cli, registry

ROOT = Path(__file__).resolve().parents[2]
CARDS = ROOT / "docs" / "methods"
CARD_HEADINGS = [
    "What it does and when to use it",
    "Example",
    "Arguments",
    "How it works",
    "Limits",
    "Results",
    "References",
]
FITTED = ("callback", "layer")
CHECKS = {f"C{i}" for i in range(1, 25)} | {"C4b"}
ROWS = pytest.mark.parametrize("row", registry.METHODS, ids=lambda r: r.name)
WITH_CARD = pytest.mark.parametrize(
    "row", [r for r in registry.METHODS if r.card], ids=lambda r: r.name
)
BAD = [
    pytest.param(setting, name, id=f"{setting.component}-{name}")
    for setting in settings.COMPONENTS.values()
    for name in settings.BAD[setting.component]
]
BAD_FUNCTIONS = [
    pytest.param(setting, name, id=f"{setting.component}-{name}")
    for setting in functions.FUNCTIONS
    for name in setting.bad
]


def find(row):
    module, _, name = row.name.rpartition(".")
    return getattr(importlib.import_module(f"keras_netopt.{module}"), name)


def test_every_public_callback_and_layer_has_rows():
    """In the registry and in the contract."""
    public = {
        f"{module.__name__.rpartition('.')[2]}.{name}"
        for module in (netopt.callbacks, netopt.layers)
        for name in getattr(module, "__all__", ())
    }
    in_registry = {row.name for row in registry.METHODS if row.kind in FITTED}

    assert public
    assert public == in_registry
    assert public == {*settings.COMPONENTS, *layer_settings.BY_COMPONENT}


def test_every_function_has_a_row():
    others = (*FITTED, "oracle")  # Oracles: test_oracles.py.
    named = {r.name for r in registry.METHODS if r.kind not in others}
    assert named == set(functions.BY_COMPONENT)


def test_exemptions_name_a_check_and_a_reason():
    for row in registry.METHODS:
        assert set(row.limits) <= CHECKS
        assert all(len(reason) > 10 for reason in row.limits.values())


def test_an_exempt_check_that_fails_is_an_exemption():
    with pytest.raises(pytest.xfail.Exception, match="is exempt from C1: why"):
        with expect_failure("callbacks.A", "C1", "why"):
            raise ValueError("as said")


def test_an_exempt_check_that_passes_fails():
    with pytest.raises(pytest.fail.Exception, match="passes C1 now"):
        with expect_failure("callbacks.A", "C1", "why"):
            pass


@pytest.mark.check("C20")
@ONE_PER_COMPONENT
def test_each_argument_has_an_invalid_value(setting):
    arguments = set(inspect.signature(find(setting.row)).parameters)
    assert set(settings.BAD[setting.component]) == arguments
    assert set(settings.CHANGES[setting.component]) == arguments


@pytest.mark.check("C20")
@pytest.mark.parametrize("setting", functions.FUNCTIONS, ids=str)
def test_each_function_argument_has_an_invalid_value(setting):
    arguments = set(inspect.signature(find(setting.row)).parameters)
    assert {*setting.bad, *setting.free} == arguments


@pytest.mark.check("C20")
@pytest.mark.parametrize(("setting", "name"), BAD)
def test_a_wrong_value_is_refused_before_the_first_step(setting, name, case):
    model = zoo.compiled(eager=True)
    before = probes.weights(model)
    with pytest.raises((TypeError, ValueError)) as error:
        component = settings.BAD[setting.component][name](case)
        probes.fit(model, "mlp", setting.callbacks(case, component), epochs=1)

    _assert_house_form(str(error.value), name)
    probes.assert_same(probes.weights(model), before)


@pytest.mark.check("C20")
@pytest.mark.parametrize(("setting", "name"), BAD_FUNCTIONS)
def test_functions_refuse_a_wrong_value(setting, name, trials, tmp_path):
    if setting.tensorflow and keras.backend.backend() != "tensorflow":
        pytest.skip(f"{setting} works on TensorFlow")
    trial = trials.get(settings.CALLBACKS[0], "mlp")
    shutil.copy(trial.folder / "model.keras", tmp_path / "pruned.keras")
    model = zoo.compiled(eager=True)
    before = probes.weights(model)
    with pytest.raises((TypeError, ValueError)) as error:
        setting.bad[name](model, tmp_path)

    text = str(error.value)
    if name in setting.layers:
        assert re.search(r"(layer|Layer|units) ", text), text
        assert "Received: layer=" in text, text
    else:
        _assert_house_form(text, name)
    probes.assert_same(probes.weights(model), before)


def _assert_house_form(text, name):
    assert re.match(rf"Arguments? .*`{name}`", text), text
    assert re.search(r"\b(must|may|is)\b", text), text
    assert "Received: " in text, text


@pytest.mark.check("C23")
@ROWS
def test_the_docstring_has_an_example(row):
    text = inspect.getdoc(find(row))
    assert doctest.DocTestParser().get_examples(text)


@pytest.mark.check("C23")
@ROWS
def test_the_command_line_lists_the_component(row, capsys):
    cli.main(["methods"])
    assert row.short_name in capsys.readouterr().out


@pytest.mark.check("C23")
@WITH_CARD
def test_the_card_names_the_component_and_its_arguments(row):
    text = (CARDS / f"{row.card}.md").read_text(encoding="utf-8")

    headings = re.findall(r"^## (.+)$", text, re.M)
    assert headings == CARD_HEADINGS
    assert row.short_name in text
    unwrapped = " ".join(text.split())
    for reason in row.limits.values():
        assert reason.rstrip(".") in unwrapped


@pytest.mark.check("C23")
@ONE_PER_COMPONENT
def test_the_card_lists_each_argument(setting):
    text = (CARDS / f"{setting.row.card}.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"`(\w+)`", text))
    shown |= set(re.findall(r"(\w+)=", text))
    if setting is settings.CALLBACKS[0]:
        assert set(inspect.signature(find(setting.row)).parameters) <= shown


@pytest.mark.check("C23")
@pytest.mark.parametrize(
    "card",
    sorted(
        {s.row.card for s in settings.COMPONENTS.values()}
        | {"hyperparameters", "search_tuner"}
    ),
)
def test_numbers_of_the_card_come_from_benchmarks(card):
    """Tables are between markers that the benchmark writes."""
    text = (CARDS / f"{card}.md").read_text(encoding="utf-8")
    results = text.partition("\n## Results\n")[2].partition("\n## ")[0]
    page = re.search(r"\]\(\.\./benchmarks/(\w+\.md)\)", results)
    assert page, "Results must link to the page with the tables"
    measured = (CARDS.parent / "benchmarks" / page[1]).read_text()
    outside = re.sub(
        r"<!-- benchmark: .*?<!-- end benchmark -->", "", measured, flags=re.S
    )
    blocks = re.findall(
        r"<!-- benchmark: ([^>]+) -->(.*?)<!-- end benchmark -->",
        measured,
        flags=re.S,
    )
    assert blocks
    assert not re.search(r"^\|", outside, re.M)
    stored = list((ROOT / "benchmarks").rglob("*.json"))
    for name, table in blocks:
        assert table.strip(), f"run the benchmark {name!r}"
    assert stored
    for path in stored:
        assert json.loads(path.read_text(encoding="utf-8"))
