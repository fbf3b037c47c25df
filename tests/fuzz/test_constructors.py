"""Any value of one argument is taken, or refused as CONTRIBUTING asks.

Two variables choose the values: `FUZZ_EXAMPLES`, their number an argument, 15
by default, and `FUZZ_SEED`, 0 by default. A run repeats exactly.
"""

import importlib.util
import os
import traceback
import warnings
import zlib

import keras
import numpy as np
import pytest

hypothesis = pytest.importorskip("hypothesis", reason="fuzzing needs it")

from fuzz import constructors, limits, values  # noqa: E402

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "15"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
PROFILE = hypothesis.settings(
    max_examples=EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
pytestmark = [
    pytest.mark.fuzz,
    pytest.mark.filterwarnings("ignore"),
]
NEEDS = {"search.RayExecutor": "ray"}
INSTALLED = [
    name
    for name in constructors.ROWS
    if importlib.util.find_spec(NEEDS.get(name, "keras"))
]


class Fault(AssertionError):
    """A constructor does something else than to take or refuse a value."""


def was_called(error, value):
    """Whether a function or object that was drawn has raised itself."""
    code = getattr(value, "__code__", None)
    return any(
        frame.f_code is code or frame.f_locals.get("self") is value
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )


def call(name, arguments, argument, value):
    """Calls a constructor; raises a `Fault` that names what it did."""
    try:
        with limits.limit_time(), limits.limit_memory():
            constructors.find(name)(**{**arguments, argument: value})
    except (TypeError, ValueError, FileNotFoundError) as error:
        text = str(error)
        if "Received: " in text and argument in text:
            return
        what = error
    except Exception as error:
        what = error
    else:
        return
    if was_called(what, value):
        return
    last = traceback.extract_tb(what.__traceback__)[-1]
    raise Fault(
        f"{argument}={value!r}: {type(what).__name__}: {str(what)[:300]} "
        f"({os.path.relpath(last.filename, os.path.dirname(keras.__file__))}:"
        f"{last.lineno})"
    )


def fuzz(name, argument, folder):
    """Returns how often a constructor was called, and what went wrong."""
    arguments, calls = constructors.arguments(name, folder), 0
    once = name == "search.Tuner"  # Its oracle serves one tuner.

    @hypothesis.seed(SEED + zlib.crc32(f"{name} {argument}".encode()))
    @PROFILE
    @hypothesis.given(value=values.anything)
    def one(value):
        nonlocal calls
        calls += 1
        given = constructors.arguments(name, folder) if once else arguments
        call(name, given, argument, value)

    try:
        one()
    except Fault as fault:
        return calls, str(fault)
    except BaseExceptionGroup as several:
        return calls, "\n".join(map(str, several.exceptions))
    return calls, ""


def raising(error):
    def constructor(**arguments):
        raise error

    return constructor


def loop(**arguments):
    while True:
        pass


@pytest.mark.parametrize(
    "constructor",
    [
        raising(KeyError("Received: rate=1")),
        raising(ValueError("Argument `rate` must be above 0.")),
        raising(ValueError("Argument `other` must be 3. Received: other=1")),
        lambda rate: np.zeros(2**40, "int8"),
        loop,
    ],
    ids=["class", "no value", "other argument", "memory", "time"],
)
def test_a_fault_is_noticed(constructor, monkeypatch):
    monkeypatch.setattr(limits, "SECONDS", 0.5)
    monkeypatch.setattr(constructors, "find", lambda name: constructor)
    with pytest.raises(Fault, match="^rate=1: "):
        call("any", {}, "rate", 1)


@pytest.mark.parametrize("kind", [TypeError, ValueError])
def test_a_refusal_and_an_error_of_the_value_are_no_faults(kind, monkeypatch):
    refuse = raising(kind("Argument `rate` must be 2. Received: rate=1"))
    monkeypatch.setattr(constructors, "find", lambda name: refuse)
    call("any", {}, "rate", 1)
    own = lambda x: [][1]  # noqa: E731
    monkeypatch.setattr(constructors, "find", lambda name: lambda rate: rate(1))
    call("any", {}, "rate", own)


@pytest.mark.parametrize("name", INSTALLED)
def test_any_value_is_taken_or_refused(name, tmp_path, monkeypatch, request):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    calls, faults = 0, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for argument in constructors.parameters(name):
            made, fault = fuzz(name, argument, folder)
            calls += made
            faults += [fault] if fault else []
    request.node.user_properties.append(("calls", calls))
    print(f"{name}: {calls} calls, {len(faults)} faults")
    assert not faults, "\n".join(faults)
