"""Markdown tables of the benchmark of Weedout, from its JSON alone."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load
from benchmarks.sparse_training import weedout as bench
from benchmarks.sparse_training import weedout_arms as arms
from benchmarks.sparse_training import weedout_fresh as fresh
from keras_netopt.paired_difference import paired_difference

Rows = list[dict[str, Any]]
CHANCE = 0.2  # A network below this accuracy has not begun to learn.
HEAD = [
    "loss before training: found / random",
    "accuracy: found / random",
    "found minus random, points",
    "seeds better",
    "minus parent, points",
    "training loss, found minus random",
    "not learning: found / random",
]


def sparsity_table() -> str:
    """Returns found against random networks along the sparsity."""
    names = [f"sparsity {one:g}" for one in arms.SPARSITIES]
    return _tables(names, ["nodes removed", "weights removed"])


def fresh_table() -> str:
    """Returns networks of the same widths with initial values of their own."""
    rows, others = _rows(), _load(fresh.NAME)
    body = []
    for net, title in arms.TITLES.items():
        for one in arms.SPARSITIES:
            key = {"net": net, "sparsity": one}
            drawn = {
                row["seed"]: 100 * row["accuracy"]
                for row in others
                if key.items() <= row.items()
            }
            own = _select(rows, net, f"sparsity {one:g}")
            own = [row for row in own if row["seed"] in drawn]
            if not own:
                continue
            base = [drawn[row["seed"]] for row in own]
            found, random = _accuracies(own)
            body.append(
                [
                    title,
                    f"{one:.0%}",
                    _spread(base),
                    str(sum(v < 100 * CHANCE for v in base)),
                    _interval(found, base, 2),
                    _interval(random, base, 2),
                ]
            )
    head = [
        "network",
        "nodes removed",
        "accuracy with initial values of its own",
        "not learning",
        "found minus it, points",
        "random minus it, points",
    ]
    return markdown(head, body) if body else "Not measured yet."


def question_table() -> str:
    """Returns one row per open question, at 80 %."""
    names = [one for one in arms.ROWS if not one.startswith("sparsity")]
    return _tables(["sparsity 0.8", *names], ["question", "weights removed"])


def seed_note() -> str:
    """Returns the conditions of the tables."""
    rows = _rows()
    if not rows:
        return "Not measured yet."
    own = [(r["net"], r["row"]) for r in rows if r["row"] in arms.ROWS]
    counts = sorted({own.count(one) for one in own})
    seeds = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    run = load(bench.NAME)["runs"][0]
    facts = run["environment"]
    return (
        f"{seeds} seeds, the first of a list of {len(arms.SEEDS)} that was "
        "fixed before the first run; time ended the run. Each seed has a "
        "network, a search, a control and an order of batches of its own; "
        "found and random networks share the weights of the parent and the "
        f"batches. `{run['command']}`, {run['date'][:10]}, "
        f"backend {facts['backend']}, {facts['cores']} cores of "
        f"{facts['processor']}, keras {facts['keras']}."
    )


def _tables(names: Sequence[str], first: list[str]) -> str:
    rows = _rows()
    parts = []
    for net, title in arms.TITLES.items():
        body = []
        for name in names:
            own = _select(rows, net, name)
            if own:
                body.append([arms.ROWS[name].title, *_cells(own, rows)])
        if body:
            head = [f"{title}: {first[0]}", first[1], *HEAD]
            parts.append(markdown(head, body))
    return "\n\n".join(parts) or "Not measured yet."


def _cells(own: Rows, rows: Rows) -> list[str]:
    row = arms.ROWS[own[0]["row"]]
    parents = {
        one["seed"]: one["accuracy"]
        for one in rows
        if (one["net"], one["row"]) == (own[0]["net"], f"parent {row.width}")
    }
    found, random = _accuracies(own)
    parent = [100 * parents[one["seed"]] for one in own]
    before = [_mean(own, "initial", arm) for arm in (bench.FOUND, bench.RANDOM)]
    curves = [
        [statistics.mean(one["losses"][arm]) for one in own]
        for arm in (bench.FOUND, bench.RANDOM)
    ]
    better = sum(a > b for a, b in zip(found, random, strict=True))
    stuck = [sum(v < 100 * CHANCE for v in one) for one in (found, random)]
    removed = statistics.mean(one["shares"][bench.FOUND][1] for one in own)
    return [
        # Of several cuts only the last share is recorded.
        f"{removed:.1%}" if len(row.cuts) == 1 else "-",
        f"{before[0]:.3f} / {before[1]:.3f}",
        f"{_spread(found)} / {_spread(random)}",
        _interval(found, random, 2),
        f"{better} of {len(own)}",
        _interval(found, parent, 1),
        _interval(*curves, 3),
        f"{stuck[0]} / {stuck[1]}",
    ]


def _select(rows: Rows, net: str, name: str) -> Rows:
    return [one for one in rows if (one["net"], one["row"]) == (net, name)]


def _accuracies(own: Rows) -> list[list[float]]:
    """Returns those of found and random networks, in percent."""
    return [
        [100 * one["accuracy"][arm] for one in own]
        for arm in (bench.FOUND, bench.RANDOM)
    ]


def _interval(mine: Sequence[float], base: Sequence[float], digits: int) -> str:
    """Returns a paired difference, in bold where its interval excludes 0."""
    gap = paired_difference("", mine, base)
    if gap.low is None or gap.high is None:
        return f"{gap.mean:+.{digits}f}"
    low, high = f"{gap.low:+.{digits}f}", f"{gap.high:+.{digits}f}"
    text = f"{gap.mean:+.{digits}f} [{low}, {high}]"
    return text if gap.low <= 0 <= gap.high else f"**{text}**"


def _spread(values: Sequence[float]) -> str:
    sd = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.1f} ± {sd:.1f}"


def _mean(own: Rows, field: str, arm: str) -> float:
    return statistics.mean(one[field][arm] for one in own)


def _rows() -> Rows:
    """Returns the rows of the seeds that were measured in a row from 0.

    A row of found and random networks needs its parent, too.
    """
    rows = _load(bench.NAME)
    seen = {(row["net"], row["row"], row["seed"]) for row in rows}

    def is_complete(row: dict[str, Any]) -> bool:
        net, name = row["net"], row["row"]
        width = arms.ROWS[name].width if name in arms.ROWS else 1
        needed = {name, f"parent {width}"}
        before = arms.SEEDS[: arms.SEEDS.index(row["seed"]) + 1]
        return all((net, k, s) in seen for k in needed for s in before)

    return [row for row in rows if is_complete(row)]


def _load(name: str) -> Rows:
    rows: Rows = []
    if (RESULTS / f"{name}.json").exists():
        rows = load(name)["rows"]
    return rows


TABLES: dict[str, Callable[[], str]] = {
    "weedout sparsity": sparsity_table,
    "weedout initial values": fresh_table,
    "weedout questions": question_table,
    "weedout seeds": seed_note,
}
