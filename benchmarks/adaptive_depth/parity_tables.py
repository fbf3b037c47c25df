"""Table of the parity benchmark, from its JSON."""

import statistics
from collections.abc import Callable

from benchmarks.adaptive_depth import parity
from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

NOT_YET = "Not measured yet."


def parity_table() -> str:
    """Returns accuracy and steps of each arm by the number of bits."""
    path = RESULTS / f"{parity.NAME}.json"
    rows = load(parity.NAME)["rows"] if path.exists() else []
    if not rows:
        return NOT_YET
    arms = [arm for arm in parity.ARMS if any(r["arm"] == arm for r in rows)]
    head = ["bits"]
    for arm in arms:
        title = parity.ARMS[arm][0]
        head += [f"{title}: accuracy", "steps"]
    body = []
    for place, length in enumerate(parity.LENGTHS):
        cells = [str(length)]
        for arm in arms:
            own = [row for row in rows if row["arm"] == arm]
            cells += [
                _by_seed([row[key][place] for row in own], form)
                for key, form in (("accuracy", ".3f"), ("steps", ".1f"))
            ]
        body.append(cells)
    note = (
        f"Median of the seeds, lowest and highest in brackets; {parity.SAMPLES}"
        " rows per length. Chance is 0.5."
    )
    return f"{markdown(head, body)}\n\n{note}"


def _by_seed(values: list[float], form: str) -> str:
    middle = format(statistics.median(values), form)
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):{form}}-{max(values):{form}})"


TABLES: dict[str, Callable[[], str]] = {"parity": parity_table}
