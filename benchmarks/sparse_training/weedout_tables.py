"""Markdown tables of the benchmark of Weedout, from its JSON alone."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load
from benchmarks.sparse_training import weedout as bench
from benchmarks.sparse_training import weedout_arms as arms
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


def question_table() -> str:
    """Returns one row per open question, at 80 %."""
    names = [one for one in arms.ROWS if not one.startswith("sparsity")]
    return _tables(["sparsity 0.8", *names], ["question", "weights removed"])


def seed_note() -> str:
    """Returns the conditions of the tables."""
    rows = _complete()
    seeds = len({row["seed"] for row in rows})
    if not seeds:
        return "Not measured yet."
    run = load(bench.NAME)["runs"][0]
    facts = run["environment"]
    return (
        f"{seeds} seeds, the first of a list that was fixed before the first "
        "run. Each seed has a network, a search, a control and an order of "
        "batches of its own; found and random networks share the weights of "
        f"the parent and the batches. `{run['command']}`, {run['date'][:10]}, "
        f"backend {facts['backend']}, {facts['cores']} cores of "
        f"{facts['processor']}, keras {facts['keras']}."
    )


def _tables(names: Sequence[str], first: list[str]) -> str:
    rows = _complete()
    parts = []
    for net, title in arms.TITLES.items():
        body = []
        for name in names:
            own = [r for r in rows if (r["net"], r["row"]) == (net, name)]
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
    found, random = (
        [100 * one["accuracy"][arm] for one in own]
        for arm in (bench.FOUND, bench.RANDOM)
    )
    parent = [100 * parents[one["seed"]] for one in own]
    before = [_mean(own, "initial", arm) for arm in (bench.FOUND, bench.RANDOM)]
    curves = [
        [statistics.mean(one["losses"][arm]) for one in own]
        for arm in (bench.FOUND, bench.RANDOM)
    ]
    better = sum(a > b for a, b in zip(found, random, strict=True))
    stuck = [sum(v < 100 * CHANCE for v in one) for one in (found, random)]
    return [
        f"{statistics.mean(o['shares'][bench.FOUND][1] for o in own):.1%}",
        f"{before[0]:.3f} / {before[1]:.3f}",
        f"{_spread(found)} / {_spread(random)}",
        _interval(found, random, 2),
        f"{better} of {len(own)}",
        _interval(found, parent, 1),
        _interval(*curves, 3),
        f"{stuck[0]} / {stuck[1]}",
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


def _complete() -> Rows:
    """Returns the rows of seeds for which everything was measured."""
    if not (RESULTS / f"{bench.NAME}.json").exists():
        return []
    rows: Rows = load(bench.NAME)["rows"]
    wanted = sum(3 for _ in arms.TITLES) + sum(
        len(row.nets) for row in arms.ROWS.values()
    )
    seeds = [row["seed"] for row in rows]
    return [row for row in rows if seeds.count(row["seed"]) == wanted]


TABLES: dict[str, Callable[[], str]] = {
    "weedout sparsity": sparsity_table,
    "weedout questions": question_table,
    "weedout seeds": seed_note,
}
