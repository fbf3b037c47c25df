"""Markdown tables of the edge benchmarks, made from their JSON alone."""

import statistics
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.edge import budgets, goals, ladder, networks
from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

Rows = list[dict[str, Any]]


def ladder_table() -> str:
    """Returns one table a network: the file of each step."""
    rows, parts = _rows(ladder.NAME), []
    for kind in ladder.KINDS:
        own = [row for row in rows if row["setting"] == kind]
        body = [
            _line(title, _steps(own, step), own)
            for step, title in ladder.STEPS.items()
            if _steps(own, step)
        ]
        head = [networks.SETTINGS[kind].title, *_HEAD]
        if body:
            parts.append(markdown(head, body))
    return _with_note(parts)


def goal_table() -> str:
    """Returns the ways to a small download and to a low latency."""
    rows = _rows(goals.NAME)
    dense = {row["seed"]: row["dense"] for row in rows}
    base = [{"seed": seed, **row} for seed, row in dense.items()]
    own = [{"step": row["way"], **row} for row in rows]
    own += [{"step": "dense", **row} for row in base]
    body = [_line("dense", base, own)]
    body += [
        _line(way.title, _steps(own, name), own)
        for name, way in goals.WAYS.items()
        if _steps(own, name)
    ]
    head = [networks.SETTINGS[goals.KIND].title, *_HEAD]
    return _with_note([markdown(head, body)])


_HEAD = (
    "seeds",
    "accuracy of the file",
    "against dense, points",
    "against the control, points",
    "bytes",
    "gzip",
    "gzip smaller",
    "latency, us",
    "faster",
)


def _line(title: str, rows: Rows, own: Rows) -> list[str]:
    dense, control = (
        {row["seed"]: row for row in _steps(own, name)}
        for name in ("dense", "control")
    )
    faster = [row["latency_dense_us"] / row["latency_us"] for row in rows]
    smaller = [dense[row["seed"]]["gzip"] / row["gzip"] for row in rows]
    return [
        title,
        str(len(rows)),
        _spread([row["accuracy"] for row in rows]),
        _gap(rows, dense),
        _gap(rows, control),
        f"{_mean(row['raw'] for row in rows):,.0f}",
        f"{_mean(row['gzip'] for row in rows):,.0f}",
        f"{_mean(smaller):.1f} x",
        f"{_mean(row['latency_us'] for row in rows):.1f}",
        _factor(faster),
    ]


def budget_table() -> str:
    """Returns both arms of each budget: the file, its cost, met or not."""
    rows, body = _rows(budgets.NAME), []
    for kind, budget in budgets.BUDGETS.items():
        for arm in budgets.ARMS:
            own = [
                row
                for row in rows
                if row["setting"] == kind and row["arm"] == arm
            ]
            if own:
                title = networks.SETTINGS[kind].title
                shown = ", ".join(
                    f"{k}={v!r}" for k, v in budget.target.items()
                )
                body.append([title, shown, arm, *_budget_cells(own, budget)])
    head = [
        "network",
        "`Target`",
        "arm",
        "seeds",
        "kB",
        "gzip kB",
        "MACs",
        "latency ratio",
        "accuracy",
        "against dense, points",
        "limits met",
        "and at most 1 point",
        "CPU s, fits",
        "CPU s, all",
        "own overhead",
    ]
    return _with_note([markdown(head, body)])


def paired_table() -> str:
    """Returns the paired differences of the one call and the hand."""
    body = []
    for kind in budgets.BUDGETS:
        call = _by_seed(kind, "compress")
        for arm in budgets.ARMS:
            hand = _by_seed(kind, arm)
            seeds = sorted(call.keys() & hand.keys())
            if arm == "compress" or not seeds:
                continue
            gaps = [100 * (call[seed] - hand[seed]) for seed in seeds]
            shown = ", ".join(f"{gap:+.2f}" for gap in gaps)
            title = networks.SETTINGS[kind].title
            body.append([title, arm, shown, f"{_mean(gaps):+.2f}"])
    head = ["network", "arm", "`compress` - arm, points, by seed", "mean"]
    return markdown(head, body)


def _by_seed(kind: str, arm: str) -> dict[int, float]:
    return {
        row["seed"]: row["accuracy"]
        for row in _rows(budgets.NAME)
        if row["setting"] == kind and row["arm"] == arm
    }


def _budget_cells(rows: Rows, budget: budgets.Budget) -> list[str]:
    drops = [100 * (r["dense"]["accuracy"] - r["accuracy"]) for r in rows]
    met = [meets(row, budget.target) for row in rows]
    both = [
        m and d <= 100 * budgets.MAX_DROP
        for m, d in zip(met, drops, strict=True)
    ]
    overhead = [row["overhead"] for row in rows if "overhead" in row]
    return [
        str(len(rows)),
        f"{_mean(row['raw'] for row in rows) / 1000:.1f}",
        f"{_mean(row['gzip'] for row in rows) / 1000:.1f}",
        f"{_mean(row['macs'] for row in rows):,.0f}",
        f"{_mean(_latency_ratio(row) for row in rows):.3f}",
        _spread([row["accuracy"] for row in rows]),
        f"{-_mean(drops):+.2f}",
        f"{sum(met)} of {len(rows)}",
        f"{sum(both)} of {len(rows)}",
        f"{_mean(row['clock']['fit_seconds'] for row in rows):.0f}",
        f"{_mean(row['clock']['seconds'] for row in rows):.0f}",
        f"{_mean(overhead):.0%}" if overhead else "-",
    ]


def meets(row: dict[str, Any], target: dict[str, Any]) -> bool:
    """Returns whether a measured file meets the limits of a target.

    Args:
        row: A row of `budgets`.
        target: Arguments of `Target`.
    """
    share = row["macs"] / row["dense_macs"]
    found = {
        "kilobytes": row["raw"] / 1000,
        "gzip_kilobytes": row["gzip"] / 1000,
        "latency_ratio": _latency_ratio(row),
        "macs": share,
    }
    return all(
        found[name] <= limit for name, limit in target.items() if name != "io"
    )


def _latency_ratio(row: dict[str, Any]) -> float:
    ratio: float = row["latency_us"] / row["latency_dense_us"]
    return ratio


def _rows(name: str) -> Rows:
    return load(name)["rows"] if (RESULTS / f"{name}.json").exists() else []


def _steps(rows: Rows, step: str) -> Rows:
    return [row for row in rows if row["step"] == step]


def _gap(rows: Rows, base: dict[int, Any]) -> str:
    gaps = [
        100 * (row["accuracy"] - base[row["seed"]]["accuracy"])
        for row in rows
        if row["seed"] in base
    ]
    if not gaps or not any(gaps):
        return "-"
    if len(gaps) == 1:
        return f"{gaps[0]:+.2f}"
    return f"{_mean(gaps):+.2f} ({min(gaps):+.2f} to {max(gaps):+.2f})"


def _spread(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{_mean(values):.4f} ({min(values):.4f}-{max(values):.4f})"


def _factor(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.2f} x"
    return f"{_mean(values):.2f} x ({min(values):.2f}-{max(values):.2f})"


def _mean(values: Iterable[float]) -> float:
    return statistics.mean(values)


def _with_note(parts: list[str]) -> str:
    note = "Means over the seeds (lowest-highest); differences by seed."
    return "\n\n".join([*parts, note])


TABLES: dict[str, Callable[[], str]] = {
    "edge ladder": ladder_table,
    "edge goals": goal_table,
    "edge budgets": budget_table,
    "edge paired": paired_table,
}
