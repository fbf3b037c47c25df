"""Tables of one fit that searches, from its results."""

import itertools
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

NAME = "nas_one_shot"
NOT_YET = "Not measured yet."
Row = dict[str, Any]


def kendall(first: Sequence[float], second: Sequence[float]) -> float:
    """Returns Kendall's rank correlation (tau-b) of two sequences."""
    pairs = list(itertools.combinations(range(len(first)), 2))
    a = np.sign([first[i] - first[j] for i, j in pairs])
    b = np.sign([second[i] - second[j] for i, j in pairs])
    untied = float(np.sum(a != 0) * np.sum(b != 0))
    return float(np.sum(a * b)) / untied**0.5 if untied else 0.0


def _seeds() -> list[dict[str, Row]]:
    """Returns the rows by arm of each seed that is complete."""
    if not (RESULTS / f"{NAME}.json").exists():
        return []
    found: dict[int, dict[str, Row]] = {}
    stored = load(NAME)
    for row in stored["rows"]:
        found.setdefault(row["seed"], {})[row["arm"]] = row
    count = stored["settings"]["networks"] + 4
    return [arms for arms in found.values() if len(arms) == count]


def random_search(arms: dict[str, Row]) -> tuple[Row, int]:
    """Returns the best random network for the compute of the search.

    The networks are trained in their order until the compute of the search
    and of the training of its result is used; the best on the validation
    images counts. Also returns their number.
    """
    budget = arms["search"]["search_macs"] + arms["found"]["training_macs"]
    spent, kept = 0.0, []
    for index in itertools.count():
        row = arms.get(f"random {index}")
        if row is None or spent + row["training_macs"] > budget:
            break
        spent += row["training_macs"]
        kept.append(row)
    return max(kept, key=lambda row: row["validation"]), len(kept)


def accuracy() -> str:
    """Returns the accuracy on test images, all trained by one recipe."""
    seeds = _seeds()
    if not seeds:
        return NOT_YET
    columns: dict[str, list[Row]] = {
        "found in one fit": [arms["found"] for arms in seeds],
        "random search, equal compute": [random_search(a)[0] for a in seeds],
        "mean of the random networks": [_mean(arms) for arms in seeds],
        "3 x 3 convolutions, MACs of the found": [
            arms["by hand"] for arms in seeds
        ],
        "largest network of the space": [arms["largest"] for arms in seeds],
    }
    base = [row["test"] for row in columns["found in one fit"]]
    body = [
        [
            title,
            *(f"{row['test']:.2%}" for row in rows),
            f"{statistics.mean(row['test'] for row in rows):.2%}",
            *_difference(base, [row["test"] for row in rows]),
            f"{statistics.mean(row['macs'] for row in rows) / 1e6:.2f} M",
        ]
        for title, rows in columns.items()
    ]
    head = [
        "network, trained from scratch",
        *(f"seed {k}" for k in range(len(seeds))),
        "mean",
        "found minus it, points",
        "MACs",
    ]
    return markdown(head, body)


def _mean(arms: dict[str, Row]) -> Row:
    rows = [row for name, row in arms.items() if name.startswith("random ")]
    return {
        key: statistics.mean(row[key] for row in rows)
        for key in ("test", "macs")
    }


def _difference(base: list[float], other: list[float]) -> list[str]:
    gaps = [100 * (a - b) for a, b in zip(base, other, strict=True)]
    if base == other:
        return ["-"]
    return [
        f"{statistics.mean(gaps):+.2f} ({min(gaps):+.2f} to {max(gaps):+.2f})"
    ]


def ranks() -> str:
    """Returns how well inherited weights rank, and what the search costs."""
    seeds = _seeds()
    if not seeds:
        return NOT_YET
    body = []
    for number, arms in enumerate(seeds):
        search = arms["search"]
        alone = [arms[f"random {k}"] for k in range(len(search["networks"]))]
        scores = [row["validation"] for row in alone]
        body.append(
            [
                str(number),
                f"{search['evaluations']:,} of {search['space']:,}",
                f"{kendall(search['inherited'], scores):.2f}",
                f"{kendall([r['params'] for r in alone], scores):.2f}",
                f"{kendall([r['macs'] for r in alone], scores):.2f}",
                f"{search['search_macs'] / search['one_training']:.2f}",
                str(random_search(arms)[1]),
                f"{search['inherited_test']:.2%}",
            ]
        )
    head = [
        "seed",
        "networks ranked",
        f"Kendall's tau of inherited weights ({len(alone)} networks)",
        "of the number of parameters",
        "of MACs",
        "cost of the search, in trainings of the largest network",
        "random networks for the same compute",
        "found, inherited weights",
    ]
    return markdown(head, body)


TABLES = {"nas one shot": accuracy, "nas one shot ranks": ranks}
