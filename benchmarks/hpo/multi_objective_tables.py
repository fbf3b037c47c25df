"""The table of multi-objective searches, from its JSON alone."""

import statistics
from collections.abc import Callable

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

NAME = "hpo_multi_objective"
NOT_YET = "Not measured yet."
TITLES = {
    "random": "`RandomSearch`",
    "nsga2": "`NSGA2`",
    "optuna": "Optuna's `NSGAIISampler`",
}
PROBLEMS = {"zdt1": "ZDT1", "zdt2": "ZDT2", "zdt3": "ZDT3"}


def table() -> str:
    """Returns hypervolume and CPU time by search."""
    if not (RESULTS / f"{NAME}.json").exists():
        return NOT_YET
    rows = load(NAME)["rows"]
    body = []
    for arm, title in TITLES.items():
        own = [row for row in rows if row["arm"] == arm]
        cells = []
        for problem in PROBLEMS:
            found = [r["hypervolume"] for r in own if r["problem"] == problem]
            low, middle, high = statistics.quantiles(found, n=4)
            cells.append(f"{middle:.3f} [{low:.3f}, {high:.3f}]")
        cpu = statistics.median(row["cpu_ms"] for row in own)
        seeds = len({row["seed"] for row in own})
        body.append([title, *cells, f"{cpu:.2f}", str(seeds)])
    head = ["search", *PROBLEMS.values(), "CPU ms per suggestion", "seeds"]
    return (
        f"{markdown(head, body)}\n\nHypervolume up to (1.1, 11) after 200 "
        "trials, higher is better: medians over seeds, quartiles in brackets."
    )


TABLES: dict[str, Callable[[], str]] = {"hpo multi objective": table}
