"""Markdown tables of the crash campaign, made from its JSON alone."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load
from keras_netopt import registry

BACKENDS = ("tensorflow", "jax", "torch")
KINDS = {"crashes": "callback", "crashes_search": "tuner"}
SUMS = ("runs", "kills", "torn", "remedies", "lost", "unexplained")
Row = dict[str, Any]

# What a child was about to do when it was killed, by words of the event.
MOMENTS = (
    ("in an epoch or a trial", "batch"),
    ("while an HDF5 file is written", "h5 "),
    ("before a file is opened for writing", "open "),
    ("before a whole file replaces the former one", "os.rename "),
    ("before a file or folder is deleted", "os.rm os.remove "),
    ("before a folder is made", "os.mkdir "),
)


def totals_table() -> str:
    """Returns one line per backend, of fits and of searches."""
    head = [
        "what",
        "backend",
        "cases",
        "runs",
        "kills",
        "kills that left a torn file",
        "errors that said what to delete",
        "lost",
        "unexplained",
    ]
    lines = []
    for what, prefix in (("fits", "crashes"), ("searches", "crashes_search")):
        for backend in BACKENDS:
            rows = _rows(prefix, backend)
            if rows:
                sums = [str(sum(row[key] for row in rows)) for key in SUMS]
                lines.append([what, backend, str(len(rows)), *sums])
    return markdown(head, lines)


def fits_table() -> str:
    """Returns one line per case of a callback."""
    return _by_case("crashes", "callback")


def searches_table() -> str:
    """Returns one line per tuner."""
    return _by_case("crashes_search", "tuner")


def moments_table() -> str:
    """Returns how many kills hit which moment."""
    found: Counter[str] = Counter()
    for row in _all_rows():
        for event, count in row["moments"].items():
            found[_moment(event)] += count
    lines = [[name, str(found[name])] for name, _ in MOMENTS]
    return markdown(["moment", "kills"], lines)


def _moment(event: str) -> str:
    for name, words in MOMENTS:
        if any(event.startswith(word) for word in words.split()):
            return name
    raise ValueError(f"No moment has this event. Received: event={event!r}")


def _by_case(prefix: str, title: str) -> str:
    names: dict[str, dict[str, Row]] = {name: {} for name in _expected(prefix)}
    for backend in BACKENDS:
        for row in _rows(prefix, backend):
            names.setdefault(row["case"], {})[backend] = row
    lines = [
        [name, *(_cell(by_backend.get(b)) for b in BACKENDS)]
        for name, by_backend in names.items()
    ]
    return markdown([title, *BACKENDS], lines)


def coverage() -> str:
    """Returns how many callbacks and tuners were run, and which again."""
    lines = []
    for prefix, what in KINDS.items():
        names = [row.name for row in registry.METHODS if row.kind == what]
        found = {b: _rows(prefix, b) for b in BACKENDS}
        shares = ", ".join(
            f"{len({r['component'] for r in rows} & {*names})} on {b}"
            for b, rows in found.items()
        )
        total = len([n for n in names if n != "search.Tuner"])
        lines.append(f"- Of {total} {what}s: {shares}.")
        for b, rows in found.items():
            again = [r["case"] for r in rows if _is_repeated(prefix, b, r)]
            if again:
                lines.append(
                    f"- By `--again`, which repeats lost cases, on {b}: "
                    f"{', '.join(again)}."
                )
    return "\n".join(lines)


def _is_repeated(prefix: str, backend: str, row: Row) -> bool:
    runs = load(f"{prefix}_{backend}")["runs"]
    return "--again" in runs[row["run"]]["command"]


def _expected(prefix: str) -> list[str]:
    """Names of cases that are measured, then of what has none yet."""
    kind = KINDS[prefix]
    measured: dict[str, set[str]] = {}
    for backend in BACKENDS:
        for row in _rows(prefix, backend):
            measured.setdefault(row["component"], set()).add(row["case"])
    return [
        row.short_name
        for row in registry.METHODS
        if row.kind == kind
        and row.name != "search.Tuner"
        and (row.name not in measured or row.short_name in measured[row.name])
    ]


def _cell(row: Row | None) -> str:
    if row is None:
        return "not run"
    return "{kills} in {runs}: {lost}, {unexplained}".format(**row)


def _rows(prefix: str, backend: str) -> list[Row]:
    name = f"{prefix}_{backend}"
    if not (RESULTS / f"{name}.json").exists():
        return []
    rows: list[Row] = load(name)["rows"]
    return rows


def _all_rows() -> Iterator[Row]:
    for prefix in ("crashes", "crashes_search"):
        for backend in BACKENDS:
            yield from _rows(prefix, backend)


TABLES: dict[str, Callable[[], str]] = {
    "crash coverage": coverage,
    "crashes": totals_table,
    "crashes of fits": fits_table,
    "crashes of searches": searches_table,
    "crash moments": moments_table,
}
