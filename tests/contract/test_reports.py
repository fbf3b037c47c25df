"""C27: every report prints and converts to JSON; none exists before `fit`."""

import dataclasses
import importlib
import json
import pkgutil
import re
import types
import typing
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pytest
from contract.rows import COMPONENTS

import keras_netopt as netopt
from keras_netopt.report import Report
from keras_netopt.search.morphism import MorphismTrial

pytestmark = pytest.mark.no_backend

SAMPLES = {int: 3, float: 0.5, str: "name", bool: True, Path: Path("file")}
SAMPLES |= {np.ndarray: np.arange(3.0), typing.Any: 0.5, type(None): None}
# Fields whose annotation does not determine the value.
FIELDS = {
    "ArmComparison": {"curves": {"name": np.ones((2, 3))}},
    "ArchitectureComparison": {"found": (0.5, 0.6), "random": (0.4, 0.3)},
    "ArchitectureReport": {"controls": (0.4, 0.3)},
    "Candidate": {"misses": {"kilobytes": 70.0}},
    "CompressionResult": {"model": None, "best": 0},
    "ContinualMetrics": {"tasks": ("a",), "accuracies": np.ones((1, 1))},
    "Finding": {"evidence": "documented", "kind": "gain"},
    "MorphismReport": {"trials": (MorphismTrial(0, "parent"),), "best": 0},
    "Route": {"bits": 8, "zeros": 0.5},
    "SensitivityReport": {
        "method": "fisher",
        "layers": ("a",),
        "columns": ("b",),
        "values": np.ones((1, 1)),
    },
    "TransferMatrix": {
        "tasks": ("a", "b"),
        "ceilings": (2.0, None),
        "ratios": np.ones((1, 2, 2)),
        "controls": {
            "random_column": np.ones((1, 2)),
            "equal_width": np.ones((1, 2)),
        },
    },
    "TransferReport": {"curves": {"scratch": np.ones((2, 3))}},
    "Subnetwork": {"model": None, "config": {"name": np.arange(3)}},
    "Target": {"io": "int8"},
    "WeedoutComparison": {
        field: {name: (0.5, 0.6) for name in ("parent", "found", "random")}
        for field in ("values", "initial_losses", "steps")
    },
    "WeedoutResult": {"parent": None, "search": None},
}


def subclasses(kind):
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


def reports():
    """Every report class of the package, once its modules are imported."""
    for module in pkgutil.walk_packages(netopt.__path__[:1], "keras_netopt."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    importlib.import_module("keras_netopt.callbacks")
    package = f"{netopt.__name__}."
    found = [c for c in subclasses(Report) if c.__module__.startswith(package)]
    return sorted(found, key=lambda cls: cls.__name__)


def sample(kind):
    """A value of an annotated type."""
    if kind in SAMPLES:
        return SAMPLES[kind]
    if dataclasses.is_dataclass(kind):
        return build(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return sample(arguments[0])
    if origin is typing.Literal:
        return arguments[0]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {sample(arguments[0]): sample(arguments[1])}
    if isinstance(origin, type) and issubclass(origin, Collection):
        inner = [sample(a) for a in arguments if a is not Ellipsis]
        return list(inner) if origin is list else tuple(inner)
    raise TypeError(f"no sample of {kind!r}: add it to SAMPLES")


def build(cls):
    # Annotations may name a class that is imported for type checkers only.
    hints = typing.get_type_hints(cls, localns={"Figure": type(None)})
    names = [field.name for field in dataclasses.fields(cls) if field.init]
    given = FIELDS.get(cls.__name__, {})
    rest = {n: sample(hints[n]) for n in names if n not in given}
    return cls(**given, **rest)


@pytest.mark.parametrize("cls", reports(), ids=lambda cls: cls.__name__)
def test_a_report_prints_and_converts_to_json(cls):
    report = build(cls)

    assert str(report).strip()
    written = json.loads(json.dumps(report.to_dict()))
    assert isinstance(written, dict) and written


@pytest.mark.check("C27")
@pytest.mark.parametrize(
    "setting", [s for s in COMPONENTS if hasattr(s.kind, "report")], ids=str
)
def test_there_is_no_report_before_fit(setting, case):
    with pytest.raises(ValueError) as error:
        setting.build(case).report()

    remedy = r"[Pp]ass (it|the callback) to `(model\.)?fit"
    assert re.search(remedy, str(error.value))
