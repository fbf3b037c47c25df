"""Markdown table of the benchmark of lottery tickets, from its JSON alone."""

import statistics
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import load
from benchmarks.sparse_training import tickets

Rows = list[dict[str, Any]]
TITLES = {
    "ticket": "ticket",
    "reinit": "same mask, new values",
    "shuffle_mask": "mask shuffled within layers",
}


def tickets_table() -> str:
    """Returns accuracies, paired differences and kept weights."""
    rows = _complete(load(tickets.NAME)["rows"])
    body = []
    for sparsity in sorted({row["sparsity"] for row in rows}):
        for optimizer in tickets.OPTIMIZERS:
            own = [
                row
                for row in rows
                if (row["sparsity"], row["optimizer"]) == (sparsity, optimizer)
            ]
            if own:
                body += _block(own, f"{sparsity:.0%}", optimizer)
    counts = sorted(
        {len(_seeds(rows, s)) for s in {r["sparsity"] for r in rows}}
    )
    head = [
        "sparsity",
        "optimizer",
        "search",
        "last round",
        "accuracy",
        "against the ticket, points",
        "ticket better",
        "kept weights by layer",
    ]
    shown = " or ".join(map(str, counts))
    return "\n\n".join(
        [
            markdown(head, body),
            f"Mean of {shown} seeds (lowest-highest), test accuracy; "
            "difference paired by seed; weights of the first seed.",
        ]
    )


def _complete(rows: Rows) -> Rows:
    """Keeps the seeds for which every arm was measured."""
    wanted = len(tickets.OPTIMIZERS) * len(tickets.SEARCHES) * len(TITLES)
    runs = [(row["sparsity"], row["seed"]) for row in rows]
    return [
        row
        for row in rows
        if runs.count((row["sparsity"], row["seed"])) == wanted
    ]


def _seeds(rows: Rows, sparsity: float) -> set[int]:
    return {row["seed"] for row in rows if row["sparsity"] == sparsity}


def _block(rows: Rows, sparsity: str, optimizer: str) -> list[list[str]]:
    dense = {r["seed"]: r["accuracies"][0] for r in rows}
    first = {
        r["seed"]: r["accuracies"][-1]
        for r in rows
        if (r["search"], r["control"]) == ("iterative", "ticket")
    }
    found = [
        ["0%", optimizer, "-", "dense", *_cells(dense, first), "all"],
    ]
    for search in tickets.SEARCHES:
        arms = {
            control: {
                r["seed"]: r
                for r in rows
                if (r["search"], r["control"]) == (search, control)
            }
            for control in TITLES
        }
        ticket = {s: r["accuracies"][-1] for s, r in arms["ticket"].items()}
        for control, title in TITLES.items():
            own = {s: r["accuracies"][-1] for s, r in arms[control].items()}
            kept = [f"{n:,}" for n in arms[control][min(own)]["kept"]]
            cells = _cells(own, ticket)
            found.append(
                [sparsity, optimizer, search, title, *cells, " / ".join(kept)]
            )
    return found


def _cells(own: dict[int, float], ticket: dict[int, float]) -> list[str]:
    values = list(own.values())
    mean = statistics.mean(values)
    shown = f"{mean:.4f} ({min(values):.4f}-{max(values):.4f})"
    if own == ticket:
        return [shown, "-", "-"]
    gaps = [100 * (own[seed] - ticket[seed]) for seed in own]
    spread = f"({min(gaps):+.2f} to {max(gaps):+.2f})"
    wins = sum(gap < 0 for gap in gaps)
    return [
        shown,
        f"{statistics.mean(gaps):+.2f} {spread}",
        f"{wins} of {len(gaps)}",
    ]


TABLES = {"sparse training tickets": tickets_table}
