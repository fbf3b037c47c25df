"""Markdown tables of the benchmark of `compact`, from its JSON alone."""

import statistics
import textwrap
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load
from benchmarks.sparse_training import compact as bench
from benchmarks.sparse_training import compact_arms as arms

Rows = list[dict[str, Any]]


def mask_table() -> str:
    """Returns units, parameters and latency before and after `compact`."""
    rows = _rows(bench.NAME)
    if not rows:
        return "Not measured yet."
    body = []
    keys = {(r["trained"], r["masks"], r["sparsity"]) for r in rows}
    for trained, name, sparsity in sorted(keys):
        own = [
            row
            for row in rows
            if (row["trained"], row["masks"], row["sparsity"])
            == (trained, name, sparsity)
        ]
        first, second = (
            statistics.median(row["units"][k] for row in own) for k in (0, 1)
        )
        params = [
            statistics.median(row["params"][k] for row in own) for k in (0, 1)
        ]
        values = [row["accuracy"] for row in own if trained]
        body.append(
            [
                f"{name}, {'trained' if trained else 'at initialization'}",
                f"{sparsity:.0%}",
                str(len(own)),
                f"300-100 → {first:g}-{second:g}",
                f"{params[0]:,.0f} → {params[1]:,.0f}",
                _ratio(own),
                _spread(values, 4) if trained else "-",
                f"{max(row['difference'] for row in own):.1e}",
            ]
        )
    head = [
        "masks",
        "sparsity",
        "seeds",
        "hidden units",
        "parameters",
        "LiteRT latency, before / after",
        "test accuracy",
        "largest relative difference of the outputs",
    ]
    return markdown(head, body)


def channel_table() -> str:
    """Returns accuracy, widths and latency of trained channel sparsity."""
    rows = _rows(bench.CHANNELS)
    titles = {
        "dense": "not pruned",
        **{name: title for name, (title, _) in arms.CALLBACKS.items()},
        "scratch": "widths of network slimming, from scratch",
    }
    body = []
    for name, title in titles.items():
        own = [row for row in rows if row["arm"] == name]
        if not own:
            continue
        values = [row["accuracy"] for row in own]
        dead = [row["dead"] for row in own if row["dead"] is not None]
        body.append(
            [
                title,
                str(len(own)),
                _spread(values, 4),
                f"{statistics.median(dead):.0%}" if dead else "-",
                f"{statistics.median(sum(r['widths']) for r in own):g}",
                f"{statistics.median(r['macs'] for r in own):,.0f}",
                f"{statistics.median(r['params'] for r in own):,.0f}",
                _ratio(own),
            ]
        )
    head = [
        "arm",
        "seeds",
        "test accuracy",
        "channels at zero before the cut",
        "channels",
        "MACs",
        "parameters",
        "LiteRT latency, dense / this",
    ]
    return markdown(head, body) if body else "Not measured yet."


def note() -> str:
    """Returns the conditions of the tables."""
    parts = []
    for name in (bench.NAME, bench.CHANNELS):
        if not _rows(name):
            continue
        found = load(name)
        run, settings = found["runs"][0], found["settings"]
        facts = run["environment"]
        text = (
            f"{settings['network']}: {settings['data']}; "
            f"{settings['optimizer']}; batches of {settings['batch']}, "
            f"{settings['epochs']} epochs. Medians (lowest-highest). "
            f"{run['date'][:10]}, keras {facts['keras']}, tensorflow "
            f"{facts['tensorflow']}, {facts['cores']} cores of "
            f"{facts['processor']}, shared with other programs; latencies are "
            "CPU times of one thread, measured in turns."
        )
        parts.append(textwrap.fill(text, 140, break_on_hyphens=False))
    return "\n\n".join(parts) or "Not measured yet."


def _ratio(own: Rows) -> str:
    ratios = [row["latency"][0] / row["latency"][1] for row in own]
    return _spread(ratios, 2)


def _spread(values: list[float], digits: int) -> str:
    middle, low, high = (
        f"{one:.{digits}f}"
        for one in (statistics.median(values), min(values), max(values))
    )
    return f"{middle} ({low}-{high})"


def _rows(name: str) -> Rows:
    path = RESULTS / f"{name}.json"
    rows: Rows = load(name)["rows"] if path.exists() else []
    return rows


TABLES = {
    "compact masks": mask_table,
    "compact channels": channel_table,
    "compact note": note,
}
