"""What a suggestion costs after 200 and after 2,000 trials.

Run with `python -m benchmarks.hpo.fidelity_cost`. The searches of
`fidelity_arms` on HPOLib protein structure take turns, trial by trial; most
of their trials are stopped. Nothing is trained, and no file is written.
"""

import statistics
import warnings

from benchmarks.hpo.fidelity_arms import ARMS, ours
from benchmarks.hpo.fidelity_curves import load
from benchmarks.records import Records

NAME = "hpo_fidelity_cost"
AT, WINDOW = (200, 2000), 25
SETTINGS = {"at": AT, "window": WINDOW}
SEARCHES = {
    "grid": ours("GridSearchOracle"),
    **{
        arm: ARMS[arm]
        for arm in (
            "random",
            "evolution",
            "tpe",
            "hyperband",
            "bohb",
            "optuna",
        )
    },
}


def main() -> None:
    """Measures all searches side by side."""
    warnings.simplefilter("ignore")
    table = load("protein")
    running = {arm: make(table, 0) for arm, make in SEARCHES.items()}
    spent: dict[str, list[float]] = {arm: [] for arm in running}
    for _ in range(AT[-1] + WINDOW):
        for arm, steps in running.items():
            spent[arm].append(1000.0 * next(steps).cpu)
    records = Records(NAME, SETTINGS, fresh=True)
    for arm, found in spent.items():
        middle = [
            round(statistics.median(found[at - WINDOW : at + WINDOW]), 3)
            for at in AT
        ]
        records.add({"arm": arm, "cpu_ms": middle})


if __name__ == "__main__":
    main()
