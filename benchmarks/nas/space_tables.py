"""Tables of compound scaling and of the spaces of the domains."""

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

Rows = list[dict[str, Any]]
NOT_YET = "Not measured yet."
ARMS = {
    "base": "none (phi = 0)",
    "depth": "depth alone",
    "width": "width alone",
    "resolution": "resolution alone",
    "compound": "all three",
}
DOMAINS = {
    "LLM": (
        "`transformer_encoder`, causal: next character of a licence text",
        "nats per character",
    ),
    "image": ("`resnet`: Fashion-MNIST 14x14", "error, %"),
    "detection": (
        '`mobilenet`, `task="detection"`: one item on a canvas of 28x28',
        "wrong class or IoU below 0.5, %",
    ),
    "RL": (
        "`mlp`: CartPole-v1, cross-entropy method",
        "500 - mean return",
    ),
    "speech": (
        "`mobilenet`: ten generated keywords, log-mel 48x20",
        "error, %",
    ),
    "edge": (
        "`mobilenet`: Fashion-MNIST 14x14, at most 210,000 MACs and 8,800 "
        "bytes",
        "error, %",
    ),
}


def growth_table() -> str:
    """Returns the MACs of scaled networks in relation to 2**phi."""
    rows = [row for row in _rows("nas_compound") if "network" in row]
    if not rows:
        return NOT_YET
    names = list(dict.fromkeys(row["network"] for row in rows))
    phis = sorted({row["phi"] for row in rows})
    body = []
    for name in names:
        for kind, title in (
            ("plain", "-"),
            ("corrected", "`macs_factor=2.0`"),
        ):
            known = {r["phi"]: r[kind] for r in rows if r["network"] == name}
            cells = [f"{known[p]:.2f}" if p in known else "-" for p in phis]
            body.append([name, title, *cells])
    head = ["network", "correction", *(f"phi = {phi}" for phi in phis)]
    return markdown(head, body)


def accuracy_table() -> str:
    """Returns the accuracy of the factors at equal MACs."""
    rows = [row for row in _rows("nas_compound") if "arm" in row]
    if not rows:
        return NOT_YET
    compound = {r["seed"]: r for r in rows if r["arm"] == "compound"}
    base = next(row["macs"] for row in rows if row["arm"] == "base")
    body = []
    for arm, title in ARMS.items():
        own = [row for row in rows if row["arm"] == arm]
        if not own:
            continue
        paired = [
            100 * (row["accuracy"] - compound[row["seed"]]["accuracy"])
            for row in own
            if row["seed"] in compound and arm != "compound"
        ]
        body.append(
            [
                title,
                f"{own[0]['macs'] / base:.2f}",
                f"{own[0]['params']:,}",
                f"{own[0]['resolution']}",
                _spread([100 * row["accuracy"] for row in own]),
                _spread(paired, "+.1f") if paired else "-",
                str(len(own)),
            ]
        )
    head = ["scaled", "MACs", "parameters", "resolution"]
    head += ["accuracy, % (range)", "against all three, points", "seeds"]
    return markdown(head, body)


def domain_table() -> str:
    """Returns searches of each domain against random search."""
    rows = _rows("nas_domains")
    body = []
    for domain, (title, metric) in DOMAINS.items():
        own = [row for row in rows if row["domain"] == domain]
        searches = {row["arm"]: row["loss"] for row in own if "arm" in row}
        if not searches:
            body.append([domain, title, metric, *["not measured"] * 6])
            continue
        losses = [r["loss"] for r in own if "values" in r]
        kept = [one for one in losses if one is not None]
        cells = [
            f"{statistics.mean(searches[arm]):.3g}"
            for arm in ("random", "TPE", "evolution")
        ]
        count = f"{len(kept)} of {len(losses)}"
        table = [f"{f(kept):.3g}" for f in (min, statistics.median)]
        body.append([domain, title, metric, count, *table, *cells])
    head = ["domain", "space and task", "measure", "networks"]
    head += ["best", "median", "`RandomSearch`", "`TPE`"]
    head += ["`RegularizedEvolution`"]
    return markdown(head, body)


def _spread(values: list[float], form: str = ".1f") -> str:
    low, middle, high = (
        f"{one:{form}}"
        for one in (min(values), statistics.mean(values), max(values))
    )
    return f"{middle} ({low} to {high})"


def _rows(name: str) -> Rows:
    if not (RESULTS / f"{name}.json").exists():
        return []
    found: Rows = load(name)["rows"]
    return found


TABLES: dict[str, Callable[[], str]] = {
    "compound growth": growth_table,
    "compound accuracy": accuracy_table,
    "architecture domains": domain_table,
}
