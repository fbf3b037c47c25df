"""Markdown tables of the keras.io benchmark, made from its JSON alone."""

import re
from collections.abc import Callable
from typing import Any

from benchmarks.keras_io_examples.examples import EXAMPLES
from benchmarks.pruning.tables import markdown
from benchmarks.records import load

NAME = "keras_io_examples"
CALLBACKS = ("Pruning", "ChannelPruning", "Growing", "Curriculum")
CHECKS = ("summarize", "report", "cut", "reload")
HEADS = ("`summarize`", "`sparsity.report`", "`prune_channels`", "reload")
Row = dict[str, Any]


def verdict(row: Row) -> str:
    """One line on a row, for the console."""
    return " | ".join(_cells(row))


def examples_table() -> str:
    """Returns one line an example and backend."""
    what = {example.path: example.what for example in EXAMPLES}
    lines = [
        [row["example"], what[row["example"]], row["backend"], *_cells(row)]
        for row in _rows()
    ]
    callbacks = [f"`{name}`" for name in CALLBACKS]
    head = ["example", "its own", "backend", *callbacks, *HEADS]
    return markdown(head, lines)


def texts_table() -> str:
    """Returns what was refused or failed, with the text."""
    lines: list[list[str]] = []
    for row in _rows():
        if "failed" in row:
            lines.append([row["example"], row["backend"], row["failed"]])
        for name, found in row.get("callbacks", {}).items():
            for where, one in _outcomes(name, found):
                text = _text(one)
                if text:
                    lines.append([row["example"], row["backend"], where, text])
    return markdown(["example", "backend", "call", "text"], lines)


def _text(outcome: Row) -> str:
    if outcome["state"] in ("failed", "refused"):
        found: str = outcome["error"]
    elif _one(outcome) == "left alone":
        found = outcome["notes"][0]
    else:
        return ""
    return re.sub(r" at 0x\w+", "", found).replace("|", "\\|")[:600]


def _rows() -> list[Row]:
    place = [example.path for example in EXAMPLES]
    rows: list[Row] = load(NAME)["rows"]
    return sorted(
        rows, key=lambda row: (place.index(row["example"]), row["backend"])
    )


def _outcomes(name: str, found: Row) -> list[tuple[str, Row]]:
    outcomes = [(name, fit) for fit in found["fits"]]
    if "example" in found:
        outcomes.append((f"the example with {name}", found["example"]))
    outcomes += [
        (check, fit[check])
        for fit in found["fits"]
        for check in CHECKS
        if check in fit
    ]
    return outcomes


def _cells(row: Row) -> list[str]:
    if "failed" in row:
        return [f"failed: {row['failed']}", *[""] * 7]
    found = row["callbacks"]
    cells = []
    for name in CALLBACKS:
        fits = [*found[name]["fits"]]
        if "example" in found[name]:
            fits.append(found[name]["example"])
        cells.append(_cell(fits))
    checked = found["Pruning"]["fits"]
    return cells + [
        _cell([fit[check] for fit in checked if check in fit])
        for check in CHECKS
    ]


def _cell(outcomes: list[Row]) -> str:
    parts = [_one(outcome) for outcome in outcomes]
    return "; ".join(dict.fromkeys(parts))


def _one(outcome: Row) -> str:
    state: str = outcome["state"]
    if state == "not applicable":
        return "-"
    if state != "ok":
        return state
    if not outcome.get("finite", True):
        return "not finite"
    if outcome.get("difference"):
        return "differs"
    params = outcome.get("params")
    before, after = params if isinstance(params, list) else (0, 0)
    if before and before != after:
        return f"ok ({after / before - 1:+.0%})"
    return "left alone" if _nothing_done(outcome) else "ok"


def _nothing_done(outcome: Row) -> bool:
    notes = [note[:100] for note in outcome.get("notes", [])]
    return any(
        text in note
        for note in notes
        for text in ("no layer can", "no weight was")
    )


def environment_note() -> str:
    """Returns date, command and environment of the measurements."""
    lines = []
    for run in load(NAME)["runs"]:
        facts = run["environment"]
        versions = ", ".join(
            f"{name} {facts[name]}" for name in ("keras", "tensorflow", "jax")
        )
        lines.append(f"- {run['date'][:10]}: {versions}.")
    return "\n".join(dict.fromkeys(lines))


TABLES: dict[str, Callable[[], str]] = {
    "keras.io examples environment": environment_note,
    "keras.io examples": examples_table,
    "keras.io examples texts": texts_table,
}
