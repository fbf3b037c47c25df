"""Tables of the early exit benchmark, from its JSON."""

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.adaptive_depth import early_exit
from benchmarks.adaptive_depth import exit_network as network
from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

Rows = list[dict[str, Any]]
MISSING = "Not measured yet."
FASTER, POINTS, SHARE = 3.0, 0.2, 0.15
# Student's t for 95 %, by the number of seeds.
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
DROPS = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0)


def accuracy_table() -> str:
    """Returns accuracy, cost and time with and without exits."""
    rows = _rows()
    if not rows:
        return MISSING
    body = [
        [
            "without exits",
            _spread(rows, "full_accuracy"),
            f"{_median(rows, 'macs_full'):,.0f}",
            f"{_median(rows, 'latency_full_ms'):.3f} ms",
            f"{_median(rows, 'batched_full_seconds'):.2f} s",
            f"{_median(rows, 'bytes_full') / 1000:,.0f} kB",
        ],
        *(_exit_row(arm) for arm in network.DROPS if _rows(arm)),
    ]
    alone = _rows("alone")
    if alone:
        body.append(
            ["trained without exits", _spread(alone, "accuracy"), *["-"] * 4]
        )
    head = [
        "network",
        "test accuracy",
        "MACs per sample",
        "LiteRT, batch 1",
        "Keras, all test images",
        "file",
    ]
    note = (
        f"Median of {len(rows)} seeds (lowest-highest). Latency is the mean "
        f"over {early_exit.IMAGES:,} test images of one file with a branch "
        "per exit, in CPU time of one thread, interleaved with the file of "
        "the backbone. Keras uses batches of 256 and the same thresholds."
    )
    return f"{markdown(head, body)}\n\n{_exits(rows)}\n\n{note}"


def _exit_row(arm: str) -> list[str]:
    rows = _rows(arm)
    return [
        f"early exits, {_budget(arm)}",
        _spread(rows, "accuracy"),
        f"{_median(rows, 'macs'):,.0f} ({_ratio(rows, 'macs_full', 'macs')})",
        f"{_median(rows, 'latency_ms'):.3f} ms "
        f"({_ratio(rows, 'latency_full_ms', 'latency_ms')})",
        f"{_median(rows, 'batched_seconds'):.2f} s "
        f"({_ratio(rows, 'batched_full_seconds', 'batched_seconds')})",
        f"{_median(rows, 'bytes') / 1000:,.0f} kB",
    ]


def _budget(arm: str) -> str:
    return f"budget of {100 * network.DROPS[arm]:g} points"


def goal_table() -> str:
    """Returns the goals, and whether they are met."""
    arms = [arm for arm in network.DROPS if _rows(arm)]
    if not arms:
        return MISSING
    body = [row for arm in arms for row in _goals(arm)]
    first = max(row["first_exit_share"] for arm in arms for row in _rows(arm))
    body.append(
        [
            f"first exit after at most {SHARE:.0%} of the MACs",
            f"{first:.1%}",
            _met(first <= SHARE),
        ]
    )
    pairs = "; ".join(
        f"seed {row['seed']}: {100 * row['drop']:+.2f} "
        f"({100 * row['drop_interval'][0]:+.2f} to "
        f"{100 * row['drop_interval'][1]:+.2f}), {row['lost']} lost and "
        f"{row['gained']} gained"
        for row in _rows(arms[0])
    )
    note = (
        f"Accuracy drop with a {_budget(arms[0])}, paired by test image, with "
        f"the 95 % interval over images, in points: {pairs}."
    )
    return f"{markdown(['goal', 'measured', 'met'], body)}\n\n{note}"


def _goals(arm: str) -> list[list[str]]:
    rows = _rows(arm)
    faster = statistics.median(
        row["latency_full_ms"] / row["latency_ms"] for row in rows
    )
    drops = [100 * row["drop"] for row in rows]
    return [
        [
            f"{_budget(arm)}: mean latency at least {FASTER:g} times lower",
            f"{faster:.2f} times",
            _met(faster >= FASTER),
        ],
        [
            f"{_budget(arm)}: at most {POINTS} points of accuracy lost",
            f"{statistics.mean(drops):+.2f} points {_interval(drops)}",
            _met(statistics.mean(drops) <= POINTS),
        ],
    ]


def curve_table() -> str:
    """Returns the cheapest points by accuracy drop on held-out images."""
    rows = _rows()
    if not rows:
        return MISSING
    body = []
    for drop in DROPS:
        chosen = [_cheapest(row, drop) for row in rows]
        macs = [
            row["macs_full"] / point[0]
            for row, point in zip(rows, chosen, strict=True)
        ]
        lost = [
            100 * (row["full_accuracy"] - point[1])
            for row, point in zip(rows, chosen, strict=True)
        ]
        body.append(
            [
                f"{drop:g}",
                f"{statistics.median(macs):.2f}x",
                f"{statistics.mean(lost):+.2f} "
                f"({min(lost):+.2f} to {max(lost):+.2f})",
            ]
        )
    head = [
        "budget, points on held-out images",
        "MACs, without exits / with",
        "points lost on test images",
    ]
    return markdown(head, body)


def environment_note() -> str:
    """Returns date, command, packages and machine of the measurement."""
    if not _rows():
        return MISSING
    run = load(early_exit.NAME)["runs"][-1]
    facts = run["environment"]
    return (
        f"- `{run['command']}`, {run['date'][:10]}: {facts['cores']} cores of "
        f"{facts['processor']}, Python {facts['python']}, keras "
        f"{facts['keras']}, tensorflow {facts['tensorflow']}, ai-edge-litert "
        f"{facts['ai-edge-litert']}."
    )


def _exits(rows: Rows) -> str:
    names = list(rows[0]["fractions"])
    body = []
    for k, name in enumerate(names):
        share = statistics.median(row["fractions"][name] for row in rows)
        alone = statistics.median(row["exit_accuracies"][k] for row in rows)
        macs = statistics.median(
            row["macs_by_exit"][k] / row["macs_full"] for row in rows
        )
        times = [row["latency_by_exit_ms"][k] for row in rows]
        known = [value for value in times if value is not None]
        spent = f"{statistics.median(known):.3f} ms" if known else "-"
        body.append(
            [name, f"{share:.1%}", f"{alone:.4f}", f"{macs:.1%}", spent]
        )
    head = [
        "exit",
        "exit fraction",
        "accuracy on all images",
        "MACs, share of the model without exits",
        "LiteRT",
    ]
    return markdown(head, body)


def _cheapest(row: dict[str, Any], drop: float) -> list[float]:
    """The cheapest point of the front within the drop on held-out images."""
    floor = row["held_out_full_accuracy"] - drop / 100 - 1e-9
    fine = [point for point in row["curve"] if point[2] >= floor]
    return min(fine or [row["curve"][-1]])


def _rows(arm: str = "exits") -> Rows:
    if not (RESULTS / f"{early_exit.NAME}.json").exists():
        return []
    return [r for r in load(early_exit.NAME)["rows"] if r["arm"] == arm]


def _median(rows: Rows, field: str) -> float:
    return statistics.median(row[field] for row in rows)


def _spread(rows: Rows, field: str) -> str:
    values = [row[field] for row in rows]
    return (
        f"{statistics.median(values):.4f} ({min(values):.4f}-{max(values):.4f})"
    )


def _ratio(rows: Rows, full: str, ours: str) -> str:
    return f"{statistics.median(r[full] / r[ours] for r in rows):.2f}x"


def _interval(values: list[float]) -> str:
    """The 95 % interval of the mean over seeds."""
    if len(values) not in STUDENT:
        return ""
    error = statistics.stdev(values) / len(values) ** 0.5
    reach = STUDENT[len(values)] * error
    middle = statistics.mean(values)
    return f"({middle - reach:+.2f} to {middle + reach:+.2f} over seeds)"


def _met(is_met: bool) -> str:
    return "yes" if is_met else "**no**"


TABLES: dict[str, Callable[[], str]] = {
    "early exit accuracy": accuracy_table,
    "early exit goals": goal_table,
    "early exit curve": curve_table,
    "early exit environment": environment_note,
}
