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
STUCK = 0.5  # A network below this share of its parent's accuracy.
HEAD = [
    "loss before training: found / random",
    "accuracy: found / random",
    "found minus random, points",
    "median of it",
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
            parent = _parents(own, rows)
            found, random = _accuracies(own)
            body.append(
                [
                    title,
                    f"{one:.0%}",
                    _spread(base),
                    str(_count_stuck(base, parent)),
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


def overview_table() -> str:
    """Returns the open questions of both networks in short."""
    rows = _rows()
    names = [one for one in arms.ROWS if not one.startswith("sparsity")]
    body = []
    for name in ["sparsity 0.8", *names]:
        parts = [_select(rows, net, name) for net in arms.TITLES]
        removed = " / ".join(_removed(own) if own else "-" for own in parts)
        cells = [arms.ROWS[name].title, removed]
        for own in parts:
            if not own:
                cells += ["-"] * 3
                continue
            found, random = _accuracies(own)
            means = [f"{statistics.mean(one):.1f}" for one in (found, random)]
            gap, middle = _interval(found, random, 1), _median(found, random, 1)
            cells += [" / ".join(means), gap, middle]
        if any(parts):
            body.append(cells)
    head = ["open question", "weights removed: MLP / CNN"]
    for net in ("MLP", "CNN"):
        head += [f"{net}: found / random", "difference, points", "median"]
    return markdown(head, body) if body else "Not measured yet."


def seed_note() -> str:
    """Returns the conditions of the tables."""
    rows = _rows()
    if not rows:
        return "Not measured yet."
    own = [(r["net"], r["row"]) for r in rows if r["row"] in arms.ROWS]
    counts = sorted({own.count(one) for one in own})
    seeds = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    lines = [
        f"{seeds} of {len(arms.SEEDS)} seeds, in the order of a list that was "
        "fixed before the first run. Each seed has a network, a search, a",
        "control and orders of batches of its own. Found and random networks "
        "share the weights of the parent and the batches.",
        "",
        *_run_notes(bench.NAME, [r for r in rows if r["row"] in arms.ROWS]),
        *_run_notes(fresh.NAME, _load(fresh.NAME)),
    ]
    return "\n".join(lines)


def _run_notes(name: str, rows: Rows) -> list[str]:
    """Returns a line per run of a file, with the seeds that it measured."""
    runs = load(name)["runs"] if rows else []
    lines = []
    for place, run in enumerate(runs):
        facts, parts = run["environment"], []
        for net in arms.TITLES:
            seeds = [
                row["seed"]
                for row in rows
                if (row["net"], row["run"]) == (net, place)
            ]
            if seeds:
                parts.append(f"{net.upper()} {min(seeds)} to {max(seeds)}")
        lines += [
            f"- `{run['command']}`:",
            f"  seeds of {', '.join(parts)}; {run['date'][:10]}, "
            f"{facts['backend']} {facts[facts['backend']]}, keras "
            f"{facts['keras']}, {facts['cores']} of the cores of "
            f"{facts['processor']}.",
        ]
    return lines


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
    found, random = _accuracies(own)
    parent = _parents(own, rows)
    before = [_mean(own, "initial", arm) for arm in (bench.FOUND, bench.RANDOM)]
    curves = [
        [statistics.mean(one["losses"][arm]) for one in own]
        for arm in (bench.FOUND, bench.RANDOM)
    ]
    better = sum(a > b for a, b in zip(found, random, strict=True))
    stuck = [_count_stuck(one, parent) for one in (found, random)]
    return [
        _removed(own),
        f"{before[0]:.3f} / {before[1]:.3f}",
        f"{_spread(found)} / {_spread(random)}",
        _interval(found, random, 2),
        _median(found, random, 2),
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


def _parents(own: Rows, rows: Rows) -> list[float]:
    """Returns the accuracies of the whole networks, in percent."""
    net, width = own[0]["net"], arms.ROWS[own[0]["row"]].width
    found = {
        one["seed"]: 100 * one["accuracy"]
        for one in _select(rows, net, f"parent {width}")
    }
    return [found[one["seed"]] for one in own]


def _count_stuck(values: Sequence[float], parents: Sequence[float]) -> int:
    """Counts networks that have not begun to learn."""
    pairs = zip(values, parents, strict=True)
    return sum(value < STUCK * parent for value, parent in pairs)


def _removed(own: Rows) -> str:
    # Of several cuts only the last share is recorded.
    if len(arms.ROWS[own[0]["row"]].cuts) > 1:
        return "-"
    share = statistics.mean(one["shares"][bench.FOUND][1] for one in own)
    return f"{share:.1%}"


def _median(mine: Sequence[float], base: Sequence[float], digits: int) -> str:
    gaps = [a - b for a, b in zip(mine, base, strict=True)]
    return f"{statistics.median(gaps):+.{digits}f}"


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
    "weedout overview": overview_table,
    "weedout questions": question_table,
    "weedout seeds": seed_note,
}
