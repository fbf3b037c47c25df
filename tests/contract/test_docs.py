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
from contract import (
    callback_setting,
    functions,
    layer_settings,
    probes,
    settings,
    zoo,
)
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
# Documents and signatures are the same on every backend.
same_everywhere = pytest.mark.no_backend


def find(row):
    module, _, name = row.name.rpartition(".")
    return getattr(importlib.import_module(f"keras_netopt.{module}"), name)


def arguments_of(row):
    return set(inspect.signature(find(row)).parameters)


def words_of(card):
    """What a page shows as code: names, and arguments in calls."""
    text = (CARDS / f"{card}.md").read_text(encoding="utf-8")
    return set(re.findall(r"`(\w+)`", text)) | set(re.findall(r"(\w+)=", text))


@same_everywhere
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
    own = settings.WITH_OWN_MODEL
    assert public == {
        *settings.COMPONENTS,
        *layer_settings.BY_COMPONENT,
        *own,
    }


@same_everywhere
def test_every_function_has_a_row():
    others = (*FITTED, "oracle")  # Oracles: test_oracles.py.
    named = {r.name for r in registry.METHODS if r.kind not in others}
    assert named == set(functions.BY_COMPONENT)


@same_everywhere
def test_exemptions_name_a_check_and_a_reason():
    for row in registry.METHODS:
        assert set(row.limits) <= CHECKS
        assert all(len(reason) > 10 for reason in row.limits.values())


@same_everywhere
def test_an_exempt_check_must_fail_by_an_assertion():
    with expect_failure("callbacks.A", "C1", "why"):
        raise AssertionError("as said")
    with pytest.raises(ValueError, match="an error"):
        with expect_failure("callbacks.A", "C1", "why"):
            raise ValueError("an error")


@same_everywhere
def test_an_exempt_check_that_passes_fails():
    with pytest.raises(pytest.fail.Exception, match="passes C1 now"):
        with expect_failure("callbacks.A", "C1", "why"):
            pass


@same_everywhere
@pytest.mark.check("C20")
def test_each_argument_has_an_invalid_value():
    wrong = []
    for component, one in settings.COMPONENTS.items():
        arguments = arguments_of(one.row)
        if set(settings.BAD[component]) != arguments:
            wrong.append(f"{component}: invalid values")
        if set(settings.CHANGES[component]) != arguments:
            wrong.append(f"{component}: changes")
    for one in functions.FUNCTIONS:
        if {*one.bad, *one.free} != arguments_of(one.row):
            wrong.append(f"{one}: invalid values")
    assert not wrong, "\n".join(wrong)


@pytest.mark.check("C20")
@ONE_PER_COMPONENT
def test_a_wrong_value_is_refused_before_the_first_step(setting, tmp_path):
    def call(name, model, folder):
        case = callback_setting.case("mlp", folder)
        component = settings.BAD[setting.component][name](case)
        probes.fit(model, "mlp", setting.callbacks(case, component), epochs=1)

    _assert_refused(settings.BAD[setting.component], call, tmp_path)


@pytest.mark.check("C20")
@pytest.mark.parametrize(
    "setting",
    [
        setting
        for setting in functions.FUNCTIONS
        if not setting.tensorflow or keras.backend.backend() == "tensorflow"
    ],
    ids=str,
)
def test_functions_refuse_a_wrong_value(setting, trials, tmp_path):
    trial = trials.get(settings.CALLBACKS[0], "mlp")

    def call(name, model, folder):
        shutil.copy(trial.folder / "model.keras", folder / "pruned.keras")
        setting.bad[name](model, folder)

    _assert_refused(setting.bad, call, tmp_path, setting.layers)


def _assert_refused(names, call, root, layers=()):
    """Each call is refused in the house form and leaves the model as it is."""
    wrong = []
    model = zoo.compiled(eager=True)
    before = probes.weights(model)
    for name in names:
        (folder := root / name).mkdir()
        try:
            call(name, model, folder)
            text = "is accepted"
        except (TypeError, ValueError) as error:
            text = str(error)
        except Exception as error:
            text = repr(error)
        if not _names(text, name, name in layers):
            wrong.append(f"{name}: {text}")
        after = probes.weights(model)
        if list(after) != list(before) or probes.differ(before, after):
            wrong.append(f"{name}: changed the model")
    assert not wrong, "\n".join(wrong)


def _names(text, name, is_layer):
    """Whether an error says which argument is wrong, why, and its value."""
    if is_layer:
        return (
            re.search(r"(layer|Layer|units) ", text)
            and "Received: layer=" in text
        )
    return (
        re.match(rf"Arguments? .*`{name}`", text)
        and re.search(r"\b(must|may|is)\b", text)
        and "Received: " in text
    )


@same_everywhere
@pytest.mark.check("C23")
def test_docstrings_have_an_example():
    parser = doctest.DocTestParser()
    wrong = [
        row.name
        for row in registry.METHODS
        if not parser.get_examples(inspect.getdoc(find(row)) or "")
    ]
    assert not wrong, "\n".join(wrong)


@same_everywhere
@pytest.mark.check("C23")
def test_the_command_line_lists_every_component(capsys):
    cli.main(["methods"])
    shown = capsys.readouterr().out
    wrong = [r.name for r in registry.METHODS if r.short_name not in shown]
    assert registry.METHODS
    assert not wrong, "\n".join(wrong)


@same_everywhere
@pytest.mark.check("C23")
def test_cards_name_their_components_and_limits():
    wrong = []
    for row in registry.METHODS:
        if not row.card:
            continue
        text = (CARDS / f"{row.card}.md").read_text(encoding="utf-8")
        if re.findall(r"^## (.+)$", text, re.M) != CARD_HEADINGS:
            wrong.append(f"{row.card}: headings")
        unwrapped = " ".join(text.split())
        for needed in (
            row.short_name,
            *(reason.rstrip(".") for reason in row.limits.values()),
        ):
            if needed not in unwrapped:
                wrong.append(f"{row.card}: {needed!r}")
    assert not wrong, "\n".join(wrong)


@same_everywhere
@pytest.mark.check("C23")
def test_cards_list_each_argument():
    """Of the layers, and of the first callback."""
    first = settings.CALLBACKS[0]
    wrong = [
        f"{one.component}: {arguments_of(one.row) - words_of(one.row.card)}"
        for one in (first, *layer_settings.BY_COMPONENT.values())
        if not arguments_of(one.row) - {"kwargs"} <= words_of(one.row.card)
    ]
    assert not wrong, "\n".join(wrong)


@same_everywhere
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
