import dataclasses
import importlib
import inspect
import re
import runpy
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from keras_netopt import registry

pytestmark = pytest.mark.no_backend

ROOT = Path(__file__).resolve().parent.parent
KINDS = {"callback", "layer", "loss", "schedule", "function", "oracle"}
KINDS |= {"tuner", "stopper", "executor", "limit", "table", "agent"}
KINDS |= {"network"}
TOUCHES = {
    *("weights", "shapes", "graph", "data"),
    *("loss", "train_step", "optimizer", "scheduled_variables"),
}
PUBLIC = (
    *("callbacks", "layers", "sparsity", "surgery"),
    *("curriculum", "depth", "export", "cost", "fine_tuning"),
    *("learning_rate", "quantization", "search", "search.spaces"),
    *("compression", "progressive", "rl"),
)
# Building blocks of components: public for custom components.
PARTS = {
    f"curriculum.{name}"
    for name in (
        "lambert_w",
        "load_scores",
        "make_plan",
        "pacing_function",
        "save_scores",
        "self_paced_weights",
    )
} | {"depth.ExitModel", "depth.FrozenBackboneExitModel", "depth.PonderModel"}
PARTS |= {"search.SearchOracle", "search.Stopper", "search.Constraint"}
# What functions return, and what an argument of tuners holds.
PARTS |= {"search.BilevelData", "search.CostCheck", "search.spaces.Space"}
PARTS |= {"search.KFold"}
# Classes that are neither a layer nor a callback.
OTHERS = {"ProgressCompress", "ProgressiveNetwork"}
OTHERS |= {"PolicyGradient", "DQN"}
# Rows are found by short names, and `sparsity.report` has this one.
PARTS |= {"quantization.report"}


def find(name):
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(f"keras_netopt.{module}"), attribute)


def is_component(value):
    """Whether it is a function or a class that a user makes; values are not.

    Of `search`, every class is one.
    """
    if inspect.isclass(value):
        if value.__module__.startswith("keras_netopt.search."):
            return True
        if value.__name__ in OTHERS:
            return True
        bases = (
            keras.callbacks.Callback,
            keras.layers.Layer,
            keras.losses.Loss,
            keras.optimizers.schedules.LearningRateSchedule,
        )
        return issubclass(value, bases)
    return inspect.isfunction(value)


def test_every_public_component_has_a_row():
    public = set()
    for module in PUBLIC:
        names = importlib.import_module(f"keras_netopt.{module}")
        for name in getattr(names, "__all__", ()):
            if is_component(getattr(names, name)):
                public.add(f"{module}.{name}")
    assert public - PARTS == {row.name for row in registry.METHODS}
    assert public >= PARTS


def test_names_are_unique():
    """But for one last part, which finds neither of its two rows."""
    names = [row.name for row in registry.METHODS]
    short = [row.short_name for row in registry.METHODS]
    shared = {name for name in short if short.count(name) > 1}

    assert len(set(names)) == len(names)
    assert not {*names} & {*short}
    assert shared == {"report"}
    assert registry.get("report") is None


def differing_arguments(row):
    """The arguments that a class and its function do not share."""
    if row.function is None:
        return set()
    own = inspect.signature(find(row.name)).parameters
    other = dict(inspect.signature(find(row.function)).parameters)
    other.pop("model", None)
    return {
        name
        for name in {**own, **other}
        if name not in own
        or name not in other
        or own[name].default != other[name].default
    }


def card_exists(row):
    return row.card is None or (ROOT / f"docs/methods/{row.card}.md").exists()


def function_is_one(row):
    return row.function is None or registry.get(row.function).kind == "function"


def data_arguments_exist(row):
    names = set(getattr(find(row.name), "data_args", ()))
    return names <= set(inspect.signature(find(row.name)).parameters)


CHECKS = {
    "uses a known kind": lambda row: row.kind in KINDS,
    "uses known values": lambda row: (
        row.retraces in ("never", "on_event", "epoch")
        and row.touches <= TOUCHES
    ),
    "is of its kind": lambda row: (
        inspect.isclass(find(row.name)) == (row.kind != "function")
    ),
    "names a function": function_is_one,
    "names a card": card_exists,
    "lists what its function does not share": lambda row: (
        differing_arguments(row) == set(row.differs)
    ),
    "has the arguments that hold data": lambda row: (
        row.kind != "callback" or data_arguments_exist(row)
    ),
    "has a summary of one line": lambda row: re.fullmatch(
        r"[A-Z][^\n|]{10,58}\.", row.summary
    ),
    "has a docstring": lambda row: inspect.getdoc(find(row.name)),
    "is hashable": lambda row: row in {row},
    "is found by its names": lambda row: (
        registry.get(row.name) is row
        and registry.get(row.short_name)
        is (None if row.short_name == "report" else row)
    ),
}


@pytest.mark.parametrize("check", CHECKS)
def test_every_row(check):
    failures = [r.name for r in registry.METHODS if not CHECKS[check](r)]
    assert not failures, "\n".join(failures)


def test_rows_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        registry.METHODS[0].name = "other"


def test_get_of_unknown_is_none():
    assert registry.get("callbacks") is None
    assert registry.get("MyPruning") is None


def test_markdown_has_one_line_per_row():
    methods = (
        registry.Method(
            name="callbacks.New",
            kind="callback",
            summary="Does it.",
            card="new",
            reference="Somebody 2026",
        ),
        registry.get("cost.summarize"),
    )
    assert registry.to_markdown(methods).splitlines()[2:] == [
        "| `callbacks.New` | callback | Does it. | [new](new.md) | Somebody "
        "2026 |",
        "| `cost.summarize` | function | Counts parameters, zeros, MACs and "
        "bytes of a model. | [cost](cost.md) | - |",
    ]


def test_docs_table_is_current(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["make_docs.py", "--check"])
    main = runpy.run_path(str(ROOT / "scripts/make_docs.py"))["main"]
    assert (main(), capsys.readouterr().out) == (0, "")


def test_importing_the_registry_imports_no_keras():
    path = ROOT / "keras_netopt"
    code = (  # Replaces the package by an empty module, which imports no Keras.
        "import sys, types;"
        "package = types.ModuleType('keras_netopt');"
        f"package.__path__ = [{str(path)!r}];"
        "sys.modules['keras_netopt'] = package;"
        "import keras_netopt.registry as registry;"
        "assert len(registry.METHODS) > 1;"
        "print([m for m in ('keras', 'numpy') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_order_rules_of_callbacks():
    pruning = find("callbacks.Pruning")
    early = "EarlyStopping(restore_best_weights=True)"
    assert pruning.must_follow == (early,)
    loggers = ("CSVLogger", "TensorBoard")
    assert pruning.should_precede == ("ModelCheckpoint", *loggers)
    for row in registry.METHODS:
        if row.kind == "callback":
            kind = find(row.name)
            rules = (
                *kind.must_follow,
                *kind.should_precede,
                *kind.conflicts_with,
            )
            for rule in rules:
                assert re.fullmatch(r"[A-Z]\w+(\(\w+=\w+\))?", rule), rule
