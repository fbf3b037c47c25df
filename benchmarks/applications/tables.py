"""Markdown tables of the applications benchmark, made from its JSON alone."""

from collections.abc import Callable
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import load

NAME = "applications"
TOLERANCE = 1e-5


def models_table() -> str:
    """Returns one line a model: size, work and time before and after."""
    head = [
        "model (input)",
        "parameters",
        "MACs",
        "LiteRT, ms",
        "prunable sets",
        "max difference",
    ]
    rows = sorted(load(NAME)["rows"], key=lambda row: row["model"].lower())
    return markdown(head, [_line(row) for row in rows])


def _line(row: dict[str, Any]) -> list[str]:
    size = "×".join(str(length) for length in row["input"])
    return [
        f"{row['model']} ({size})",
        _pair(row["params"], "{:,.0f}"),
        _pair([macs / 1e6 for macs in row["macs"]], "{:,.1f} M"),
        _latency(row["latency"]),
        f"{row['prunable']} of {row['sets']}",
        f"{row['difference']:.1e}",
    ]


def _pair(values: list[float], form: str) -> str:
    before, after = values
    shown = f"{form.format(before)} → {form.format(after)}"
    return f"{shown} ({before / after:.2f}×)"


def _latency(row: dict[str, Any]) -> str:
    if "reason" in row:
        return row["reason"]
    return _pair([row["before"], row["after"]], "{:.2f}")


def is_exact(row: dict[str, Any]) -> bool:
    """Whether a cut model computes what it did with zeroed channels."""
    limit = TOLERANCE * max(1.0, row["largest"])
    return bool(row["difference"] <= limit)


def checks_note() -> str:
    """Returns how many models passed what was asked of all of them."""
    rows = load(NAME)["rows"]
    exact = [is_exact(row) for row in rows]
    varied = [row["moved"] >= 0.1 and row["spread"] >= 1e-3 for row in rows]
    checks = [
        ("difference to zeroed channels at most 1e-5", exact),
        ("outputs vary, and zeroing moved them by 0.1 or more", varied),
        ("reloaded and cloned: difference 0", [not r["rebuilt"] for r in rows]),
        (
            "a training step is finite and moves weights",
            [r["step"] for r in rows],
        ),
    ]
    body = [[text, f"{sum(met)} of {len(met)}"] for text, met in checks]
    for row in rows:
        if "difference_float64" in row:
            found = f"{row['difference_float64']:.0e}"
            body.append([f"difference of {row['model']} in float64", found])
    return markdown(["check", "models"], body)


def refused_table() -> str:
    """Returns what stays as it is, by reason."""
    found: dict[str, list[str]] = {}
    for row in load(NAME)["rows"]:
        for reason, count in row["refused"]:
            text = reason.split(" '")[0]
            text = (
                "reaches the output of the model" if "output" in text else text
            )
            found.setdefault(text, []).append(f"{row['model']} {count}")
    body = [
        [
            reason,
            f"{len(models)} models" if len(models) > 8 else ", ".join(models),
        ]
        for reason, models in found.items()
    ]
    return markdown(["reason", "sets of layers"], body)


TABLES: dict[str, Callable[[], str]] = {
    "applications": models_table,
    "applications checks": checks_note,
    "applications refused": refused_table,
}
