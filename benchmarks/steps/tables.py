"""Markdown tables of the step overhead, made from their JSON alone."""

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.pruning.tables import TITLES, markdown
from benchmarks.records import RESULTS, load

BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "torch"}
LIMIT = 1.04


def ratio_table() -> str:
    """Returns the ratio of a step to plain `fit`, arms down."""
    measured = {name: _rows(name) for name in BACKENDS}
    columns = [
        (backend, kind)
        for backend, rows in measured.items()
        for kind in TITLES
        if any(row["model"] == kind for row in rows)
    ]
    if not columns:
        return "Not measured yet."
    arms = dict.fromkeys(
        row["arm"] for rows in measured.values() for row in _sorted(rows)
    )
    body = []
    for arm in arms:
        cells = [_cell(measured[b], kind, arm) for b, kind in columns]
        body.append([arm, *cells])
    head = ["arm", *(f"{BACKENDS[b]}, {kind.upper()}" for b, kind in columns)]
    return f"{markdown(head, body)}\n\n{_note(measured)}"


def _cell(rows: list[dict[str, Any]], kind: str, arm: str) -> str:
    own = [row for row in rows if row["model"] == kind]
    steps = {(row["arm"], row["round"]): row["step"] for row in own}
    ratios = [
        row["step"] / steps[row["base"], row["round"]]
        for row in own
        if row["arm"] == arm
    ]
    if not ratios:
        return "not measured"
    if arm == next(row["base"] for row in own if row["arm"] == arm):
        middle = statistics.median(
            row["step"] for row in own if row["arm"] == arm
        )
        return f"{1e6 * middle:,.0f} µs"
    low, middle, high = statistics.quantiles(ratios, n=4)
    mark = "**" if middle > LIMIT else ""
    return f"{mark}{middle:.2f}{mark} ({low:.2f}-{high:.2f})"


def _note(measured: dict[str, list[dict[str, Any]]]) -> str:
    settings = next(
        load(_name(b))["settings"] for b, rows in measured.items() if rows
    )
    return (
        f"Median and quartiles of {settings['rounds']} rounds, batches of "
        f"{settings['batch']}, {settings['optimizer']}. Above {LIMIT}: bold. "
        "Plain arms: time of a step."
    )


def masking_table() -> str:
    """Returns the time of a mask on one kernel, way by way."""
    if not (RESULTS / "masking_torch.json").exists():
        return "Not measured yet."
    found = load("masking_torch")
    shape = " x ".join(map(str, found["settings"]["shape"]))
    body = [
        [row["arm"], f"{1e6 * row['seconds']:.0f} µs"] for row in found["rows"]
    ]
    return markdown([f"torch, {shape} weights", "CPU time"], body)


def environment_note() -> str:
    """Returns when, with what and on what the numbers were measured."""
    lines = []
    for backend in BACKENDS:
        if not (RESULTS / f"{_name(backend)}.json").exists():
            continue
        run = load(_name(backend))["runs"][-1]
        facts = run["environment"]
        lines.append(
            f"- `{run['command']}`, {run['date'][:10]}, backend "
            f"{facts['backend']}: {facts['cores']} cores of "
            f"{facts['processor']}, Python {facts['python']}, keras "
            f"{facts['keras']}, tensorflow {facts['tensorflow']}, jax "
            f"{facts['jax']}, torch {facts['torch']}."
        )
    return "\n".join(lines)


def _name(backend: str) -> str:
    return f"step_overhead_{backend}"


def _rows(backend: str) -> list[dict[str, Any]]:
    name = _name(backend)
    if not (RESULTS / f"{name}.json").exists():
        return []
    rows: list[dict[str, Any]] = load(name)["rows"]
    return rows


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the rows with plain arms first, the others by name."""
    return sorted(rows, key=lambda row: (row["arm"] != row["base"], row["arm"]))


TABLES: dict[str, Callable[[], str]] = {
    "step overhead": ratio_table,
    "step overhead masking": masking_table,
    "step overhead environment": environment_note,
}
