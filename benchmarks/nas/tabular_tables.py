"""The tables of discrete architecture search, from their JSON alone."""

import math
import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

NOT_YET = "Not measured yet."
ARMS = {
    "random": "`RandomSearch`",
    "evolution": "`RegularizedEvolution`, the default",
    "evolution 16 5": "`RegularizedEvolution`, its former defaults",
    "tpe": "`TPE`",
}
TABLES_OF = {
    "cifar10": "NAS-Bench-201 CIFAR-10",
    "cifar100": "NAS-Bench-201 CIFAR-100",
    "imagenet": "NAS-Bench-201 ImageNet16-120",
}
AT = (10, 30, 60, 120)


def regrets() -> str:
    """Returns the median regrets, and a sign test against random search."""
    found = _rows("nas_tabular")
    body = []
    for table, title in TABLES_OF.items():
        runs = {
            arm: [
                regret
                for row in found
                if (row["table"], row["arm"]) == (table, arm)
                for regret in row["regret"]
            ]
            for arm in ARMS
        }
        for arm, name in ARMS.items():
            if runs[arm]:
                columns = zip(*runs[arm], strict=True)
                medians = [f"{statistics.median(c):.3f}" for c in columns]
                tests = [
                    _sign(runs[arm], runs["random"], place)
                    for place in range(len(AT))
                ]
                body.append(
                    [
                        title,
                        name,
                        *medians,
                        "; ".join(tests),
                        str(len(runs[arm])),
                    ]
                )
    if not body:
        return NOT_YET
    head = ["table", "search", *(f"@{n}" for n in AT)]
    head += ["seeds better / worse than random", "seeds"]
    return markdown(head, body)


def goals() -> str:
    """Returns the median regret of the default beside its goal."""
    rows = [
        regret
        for row in _rows("nas_tabular")
        if row["table"] == "cifar10" and row["arm"] == "evolution"
        for regret in row["regret"]
    ]
    if not rows:
        return NOT_YET
    median = statistics.median(regret[AT.index(60)] for regret in rows)
    return markdown(
        ["CIFAR-10, 60 evaluations", "goal", "measured", "seeds"],
        [["median regret", "<= 0.05", f"{median:.4f}", str(len(rows))]],
    )


def two_goals() -> str:
    """Returns hypervolumes of accuracy and latency."""
    body = []
    for row in _rows("nas_two_goals"):
        columns = list(zip(*row["share"], strict=True))
        cells = []
        for column in columns:
            low, middle, high = statistics.quantiles(column, n=4)
            cells.append(f"{middle:.3f} [{low:.3f}, {high:.3f}]")
        name = {"random": "`RandomSearch`", "nsga2": "`NSGA2`"}[row["arm"]]
        title = TABLES_OF[row["table"]]
        body.append([title, name, *cells, str(len(row["share"]))])
    if not body:
        return NOT_YET
    return markdown(["table", "search", "@30", "@60", "@120", "seeds"], body)


def _sign(first: list[Any], second: list[Any], place: int) -> str:
    pairs = [(a[place], b[place]) for a, b in zip(first, second, strict=False)]
    better = sum(a < b for a, b in pairs)
    worse = sum(a > b for a, b in pairs)
    if not better + worse:
        return "equal"
    n = better + worse
    p = sum(math.comb(n, k) for k in range(better, n + 1)) / 2**n
    return f"{better}/{worse} (p {p:.1g})"


def _rows(name: str) -> list[dict[str, Any]]:
    if not (RESULTS / f"{name}.json").exists():
        return []
    return list(load(name)["rows"])


TABLES: dict[str, Callable[[], str]] = {
    "nas tabular": regrets,
    "nas tabular goal": goals,
    "nas two goals": two_goals,
}
