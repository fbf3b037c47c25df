"""`pytest -p costs`: CPU seconds, `fit` calls and traces of each test file.

CPU seconds are user + system time of the test's process and of the child
processes that it waited for. A trace is a `tf.function` traced or a program
compiled by JAX; torch has none. `COSTS=path` also writes the numbers of each
test as JSON.
"""

import functools
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import levers  # noqa: F401  # Before Keras.  # isort: skip
import keras
import pytest

KINDS = ("cpu_seconds", "fits", "traces")
counts = Counter()
costs: dict[str, dict[str, float]] = {}


def count_calls(owner: object, name: str, kind: str) -> None:
    """Replaces `owner.name` by a function that counts its calls."""
    function = getattr(owner, name)

    @functools.wraps(function)
    def counted(*args, **kwargs):
        counts[kind] += 1
        return function(*args, **kwargs)

    setattr(owner, name, counted)


def pytest_configure() -> None:
    count_calls(keras.Model, "fit", "fits")
    backend = keras.backend.backend()
    if backend == "tensorflow":
        from tensorflow.python.framework import func_graph

        count_calls(func_graph, "func_graph_from_py_func", "traces")
    elif backend == "jax":
        import jax

        def listen(event: str, *_: object, **__: object) -> None:
            if event == "/jax/core/compile/backend_compile_duration":
                counts["traces"] += 1

        jax.monitoring.register_event_duration_secs_listener(listen)


def read_costs() -> dict[str, float]:
    times = os.times()
    return {"cpu_seconds": sum(times[:4])} | {
        kind: counts[kind] for kind in KINDS[1:]
    }


started = pytest.StashKey[dict[str, float]]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    item.stash[started] = read_costs()
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> None:
    if call.when == "teardown":
        now, then = read_costs(), item.stash[started]
        item.user_properties.append(
            ("costs", {kind: now[kind] - then[kind] for kind in KINDS})
        )


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "teardown":
        costs[report.nodeid] = dict(report.user_properties)["costs"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if "COSTS" in os.environ:
        Path(os.environ["COSTS"]).write_text(json.dumps(costs, indent=0))
    files: dict[str, Counter[str]] = {}
    for test, cost in costs.items():
        file = files.setdefault(test.partition("::")[0], Counter())
        file.update(cost | {"tests": 1})
    total = Counter()
    for file in files.values():
        total.update(file)
    write = terminalreporter.write_line
    write(f"{'tests':>6} {'CPU s':>8} {'fits':>6} {'traces':>7}  file")
    rows = sorted(files.items(), key=lambda item: -item[1]["cpu_seconds"])
    for name, cost in [*rows, ("total", total)]:
        write(
            f"{cost['tests']:6.0f} {cost['cpu_seconds']:8.1f}"
            f" {cost['fits']:6.0f} {cost['traces']:7.0f}  {name}"
        )
