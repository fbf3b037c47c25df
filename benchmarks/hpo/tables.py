"""The tables of hyperparameter search, made from their JSON alone."""

import math
import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.hpo.titles import ARMS, NAMES
from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

NAME = "hpo_tabular"
NOT_YET = "Not measured yet."
Runs = dict[str, list[Any]]


def table_of(name: str) -> Callable[[], str]:
    """Returns what renders one table of trained networks."""

    def render() -> str:
        runs = {arm: _runs(name, arm) for arm in ARMS}
        runs = {arm: found for arm, found in runs.items() if found}
        if not runs:
            return NOT_YET
        whole = statistics.median(runs["grid"]["seconds"])
        random = _seconds(runs["random"])
        body = [
            [
                ARMS[arm],
                *_regrets(found),
                _time(found),
                "-" if arm == "grid" else _share(_seconds(found), whole),
                _share(_seconds(found), random),
                f"{statistics.median(found['cpu_ms']):.1f}",
                str(len(found["loss"])),
            ]
            for arm, found in runs.items()
        ]
        head = [
            NAMES[name],
            *("regret @25", "@50", "@60 [quartiles]"),
            *("training to the grid's end", "against the grid"),
            "against random",
            *("CPU ms a point", "seeds"),
        ]
        return f"{markdown(head, body)}\n\n{_note(runs)}"

    return render


def goals() -> str:
    """Returns the goals and what came of them."""
    runs = {arm: _runs("protein", arm) for arm in ARMS}
    if not (runs["tpe"] and runs["optuna"] and runs["random"]):
        return NOT_YET
    final = {
        arm: statistics.median(r[-1] for r in found["regret"])
        for arm, found in runs.items()
        if found
    }
    ratio = final["tpe"] / final["optuna"]
    cpu = statistics.median(runs["tpe"]["cpu_ms"])
    body = [
        ["`TPE`, median regret @60", "<= 0.08", f"{final['tpe']:.3f}"],
        ["the same over Optuna's, same seeds", "<= 1.05", f"{ratio:.2f}"],
        [
            "`RegularizedEvolution`, median regret @60",
            "<= 0.11",
            f"{final['evolution']:.3f}",
        ],
        ["CPU ms a point of `TPE`, mean of 60 trials", "<= 20", f"{cpu:.1f}"],
    ]
    rows = [[*row, _met(row)] for row in body]
    head = ["on protein structure", "goal", "measured", "met"]
    lines = [markdown(head, rows), ""]
    for other in ("random", "optuna"):
        lines.append(_sign_test(runs["tpe"], runs[other], ARMS[other]))
    return "\n".join(lines)


def _met(row: list[str]) -> str:
    return "yes" if float(row[2]) <= float(row[1].split()[1]) else "**no**"


def _sign_test(first: Runs, second: Runs, title: str) -> str:
    pairs = [
        (a[-1], b[-1])
        for a, b in zip(first["regret"], second["regret"], strict=True)
    ]
    better = sum(a < b for a, b in pairs)
    worse = sum(a > b for a, b in pairs)
    n = better + worse
    tail = sum(math.comb(n, k) for k in range(better, n + 1)) / 2**n
    return (
        f"`TPE` ends better than {title} with {better} of {len(pairs)} seeds "
        f"and worse with {worse}: one-sided sign test, p = {tail:.2g}.  "
    )


def read_blocks(results: str, table: str, arm: str) -> list[dict[str, Any]]:
    """Returns the rows of an arm on a table, in the order of their seeds."""
    if not (RESULTS / f"{results}.json").exists():
        return []
    blocks = [
        row
        for row in load(results)["rows"]
        if row["table"] == table and row["arm"] == arm
    ]
    return sorted(blocks, key=lambda row: row["first"])


def _runs(name: str, arm: str) -> Runs:
    """All seeds of an arm, block after block."""
    blocks = read_blocks(NAME, name, arm)
    fields = ("loss", "regret", "seconds_to_grid", "seconds", "cpu_ms")
    if not blocks:
        return {}
    return {f: [run for block in blocks for run in block[f]] for f in fields}


def _regrets(runs: Runs) -> list[str]:
    columns = list(zip(*runs["regret"], strict=True))
    texts = [f"{statistics.median(column):.3g}" for column in columns]
    if len(columns[-1]) > 3:
        low, _, high = statistics.quantiles(columns[-1], n=4)
        texts[-1] += f" [{low:.2g}, {high:.2g}]"
    return texts


def _seconds(runs: Runs) -> float:
    """Median; a search that does not get there takes for ever."""
    found = [math.inf if s is None else s for s in runs["seconds_to_grid"]]
    return statistics.median(found)


def _time(runs: Runs) -> str:
    middle = _seconds(runs)
    if not any(runs["seconds_to_grid"]):
        return "-"
    missed = sum(s is None for s in runs["seconds_to_grid"])
    share = f", {missed / len(runs['loss']):.0%} never" if missed else ""
    text = "not in half" if math.isinf(middle) else f"{middle:,.0f} s"
    return text + share


def _share(seconds: float, random: float) -> str:
    if math.isinf(seconds) or math.isinf(random) or not random:
        return "-"
    return f"{seconds / random - 1:+.0%}"


def _note(runs: dict[str, Runs]) -> str:
    total = statistics.median(runs["grid"]["seconds"])
    return (
        "Medians over seeds. Regret: 0 is the best network of the table, 1 "
        "the median one. Training to the grid's end: simulated seconds until "
        "the loss that the coarse grid has after 60 trials in the median "
        f"({total:,.0f} s of training for all of them, what others are held "
        "against)."
    )


TABLES = {
    "hpo protein": table_of("protein"),
    "hpo slice": table_of("slice"),
    "hpo cifar10": table_of("cifar10"),
    "hpo goals": goals,
}
