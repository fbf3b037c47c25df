"""Tables of searches that stop trials early, from their JSON alone."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.hpo.tables import read_blocks
from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

NAME, COST = "hpo_fidelity", "hpo_fidelity_cost"
NOT_YET = "Not measured yet."
RESAMPLES = 2000
ARMS = {
    "random": "`RandomSearch` with `ASHA`",
    "grid": "`GridSearch` with `ASHA`",
    "tpe": "`TPE` with `ASHA`",
    "evolution": "`RegularizedEvolution` with `ASHA`",
    "hyperband": "`Hyperband`",
    "bohb": "`Hyperband(sampler=TPEOracle())`",
    "optuna": "Optuna's `TPESampler` with `HyperbandPruner`",
    "tpe whole": "`TPE`, no trial stopped",
    "whole": "`RandomSearch`, no trial stopped",
}
TITLES = {
    "trained": "dense networks on Fashion-MNIST, true curves",
    "protein": "HPOLib protein structure, simulated curves",
    "slice": "HPOLib slice localization, simulated curves",
}
CPU_MS = (20, 100)
GOALS = {"random": 0.7, "optuna": 0.9}
Runs = dict[str, np.ndarray]


def table_of(name: str) -> Callable[[], str]:
    """Returns what renders the arms on one table."""

    def render() -> str:
        runs = {arm: _runs(name, arm) for arm in ARMS}
        runs = {arm: found for arm, found in runs.items() if found}
        if "random" not in runs:
            return NOT_YET
        budgets = load(NAME)["settings"]["budgets"]
        base = runs["random"]["regret"]
        body = []
        for arm, found in runs.items():
            cells = []
            for i in range(len(budgets)):
                mine, theirs = found["regret"][:, i], base[:, i]
                cells.append(_quartiles(mine))
                cells.append("-" if arm == "random" else _ratio(mine, theirs))
                cells.append("-" if arm == "random" else _wins(mine, theirs))
            trials = np.median(found["trials"][:, -1])
            cpu = f"{found['cpu_ms'].mean():.1f}"
            body.append([ARMS[arm], *cells, f"{trials:.0f}", cpu])
        head = [TITLES[name]]
        for budget in budgets:
            head += [
                f"regret @{budget} [quartiles]",
                "ratio to random (95 %)",
                "seeds better / worse",
            ]
        head += [f"trials @{budgets[-1]}", "CPU ms a suggestion"]
        return f"{markdown(head, body)}\n\nMedians of {len(base)} seeds."

    return render


def goals() -> str:
    """Returns the ratios that were aimed at, and what came of them."""
    body = []
    for name, title in TITLES.items():
        for arm, other in itertools.product(("tpe", "bohb"), GOALS):
            mine, theirs = _runs(name, arm), _runs(name, other)
            if not (mine and theirs):
                continue
            for i, budget in enumerate(load(NAME)["settings"]["budgets"]):
                pair = mine["regret"][:, i], theirs["regret"][:, i]
                ratio = _divide(*map(np.median, pair))
                met = "yes" if ratio <= GOALS[other] else "**no**"
                goal = f"<= {GOALS[other]}"
                row = [title, ARMS[arm], ARMS[other], str(budget)]
                body.append([*row, _ratio(*pair), goal, met])
    head = [
        "table",
        "search",
        "against",
        "trainings",
        "ratio of median regrets (95 %)",
        "goal",
        "met",
    ]
    return markdown(head, body) if body else NOT_YET


def cost() -> str:
    """Returns the CPU time of a suggestion after few and many trials."""
    if not (RESULTS / f"{COST}.json").exists():
        return NOT_YET
    found = load(COST)
    body = []
    for row in found["rows"]:
        met = all(
            ms <= most for ms, most in zip(row["cpu_ms"], CPU_MS, strict=True)
        )
        is_ours = row["arm"] != "optuna"
        cells = [f"{ms:.1f}" for ms in row["cpu_ms"]]
        goal = ("yes" if met else "**no**") if is_ours else "-"
        body.append([ARMS[row["arm"]], *cells, goal])
    first, last = found["settings"]["at"]
    head = [
        "search",
        f"CPU ms a suggestion after {first:,} trials",
        f"after {last:,}",
        "at most {} and {}".format(*CPU_MS),
    ]
    return markdown(head, body)


def _runs(name: str, arm: str) -> Runs:
    """All seeds of an arm, block after block."""
    blocks = read_blocks(NAME, name, arm)
    if not blocks:
        return {}
    found: Runs = {
        field: np.array([run for block in blocks for run in block[field]])
        for field in ("regret", "trials")
    }
    return {**found, "cpu_ms": np.array([b["cpu_ms"] for b in blocks])}


def _quartiles(regrets: np.ndarray) -> str:
    low, middle, high = np.quantile(regrets, [0.25, 0.5, 0.75])
    return f"{middle:.2g} [{low:.2g}, {high:.2g}]"


def _ratio(mine: np.ndarray, theirs: np.ndarray) -> str:
    """The ratio of medians; seeds are resampled in pairs."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(mine), size=(RESAMPLES, len(mine)))
    ratios = _divide(
        np.median(mine[drawn], axis=1), np.median(theirs[drawn], axis=1)
    )
    low, high = np.quantile(ratios, [0.025, 0.975], method="nearest")
    middle = _divide(np.median(mine), np.median(theirs))
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def _divide(a: Any, b: Any) -> Any:
    """Regrets can be 0: then the ratio is infinite, or 1 for two of them."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((a == 0.0) & (b == 0.0), 1.0, a / b)


def _wins(mine: np.ndarray, theirs: np.ndarray) -> str:
    return f"{(mine < theirs).sum()} / {(mine > theirs).sum()}"


TABLES = {
    **{f"hpo fidelity {name}": table_of(name) for name in TITLES},
    "hpo fidelity goals": goals,
    "hpo fidelity cost": cost,
}
