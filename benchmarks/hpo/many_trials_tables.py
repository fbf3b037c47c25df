"""Table of the cost of a trial after many others, from its JSON alone."""

from collections.abc import Callable

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

NAME = "hpo_many_trials"
RATIO, SECONDS = 1.5, 5.0
TITLES = {
    "random": "`RandomSearchOracle`",
    "grid": "`GridSearchOracle`",
    "evolution": "`RegularizedEvolutionOracle`",
    "hyperband": "`HyperbandOracle`",
    "nsga2": "`NSGA2Oracle`",
    "tpe": "`TPEOracle`",
    "kerastuner": "KerasTuner's `RandomSearchOracle`",
}


def table() -> str:
    """Returns the CPU time per trial, early and late, by oracle."""
    if not (RESULTS / f"{NAME}.json").exists():
        return "Not measured yet."
    found = load(NAME)
    settings = found["settings"]
    rows = {row["arm"]: row for row in found["rows"]}
    body, notes = [], []
    for arm, title in TITLES.items():
        if (row := rows.get(arm)) is None:
            continue
        ratio = row["late"] / row["early"]
        met = "-"
        if arm != "kerastuner":
            met = "yes" if ratio <= RATIO else "**no**"
        cells = [f"{row['early']:.1f}", f"{row['late']:.1f}", f"{ratio:.2f}"]
        body.append([title, *cells, met])
        if "plots" in row:
            goal = "met" if row["plots"] <= SECONDS else "**not met**"
            notes.append(
                f"`plots` of the {settings['trials']:,} trials of random "
                f"search, with all pictures saved: {row['plots']:.1f} s of "
                f"CPU. Goal: at most {SECONDS:g} s, {goal}."
            )
    head = [
        "oracle",
        f"CPU ms at trial {settings['early']}",
        f"at trial {settings['trials']:,}",
        "ratio",
        f"at most {RATIO}",
    ]
    return "\n\n".join([markdown(head, body), *notes])


TABLES: dict[str, Callable[[], str]] = {"hpo many trials": table}
