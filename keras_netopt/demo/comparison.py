"""The table and the plot of the demo."""

from collections.abc import Callable, Sequence
from pathlib import Path

from keras_netopt import plots, tables
from keras_netopt.demo.demo_model import DemoModel
from keras_netopt.demo.litert_files import FLOAT, INT8

MISSING = "-"


def render_table(arms: Sequence[DemoModel], images: int) -> str:
    """Renders one column per model, without rows that are empty for all.

    Example:

    >>> arm = DemoModel("dense", accuracy=0.88, error=0.01, nonzero=4, total=5)
    >>> print(render_table([arm], images=1000))
    Fashion-MNIST, 1,000 held-out images, one seed
    ┏━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━┓
    ┃                  ┃        dense ┃
    ┡━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━┩
    │ accuracy         │ 88.0 % ± 1.0 │
    │ non-zero weights │       4 of 5 │
    └──────────────────┴──────────────┘
    """
    rows = [[name, *map(cell, arms)] for name, cell in _ROWS.items()]
    return tables.render(
        ["", *(arm.name for arm in arms)],
        [row for row in rows if set(row[1:]) != {MISSING}],
        title=f"Fashion-MNIST, {images:,} held-out images, one seed",
        align="l" + "r" * len(arms),
    )


def write_plot(arms: Sequence[DemoModel], folder: Path) -> None:
    """Writes the demo's plot, or prints the missing requirement."""
    points = [
        plots.ModelPoint(
            arm.name, arm.accuracy, arm.error, _sizes(arm), arm.zeros
        )
        for arm in arms
    ]
    path = folder / "demo.png"
    title = "Pruned inside model.fit, one seed"
    if any(arm.files for arm in arms):
        title += "; float32 files of pruned models in LiteRT's sparse format"
    try:
        plots.model_comparison(points, title=title, path=path)
    except ImportError as error:
        print(f"No plot: {error}")
    else:
        print(f"Plot: {path}")


def _sizes(arm: DemoModel) -> dict[str, int]:
    sizes = {}
    for variant, report in arm.files.items():
        sizes[variant] = report.size.raw
        sizes[f"{variant} gzip"] = report.size.gzip
    return sizes


def _accuracy(arm: DemoModel) -> str:
    return f"{100 * arm.accuracy:.1f} % ± {100 * arm.error:.1f}"


def _weights(arm: DemoModel) -> str:
    return f"{arm.nonzero:,} of {arm.total:,}"


def _plain_bytes(arm: DemoModel) -> str:
    if not arm.files:
        return MISSING
    size = arm.files[FLOAT].float_size
    return f"{size.raw:,} ({size.gzip:,})"


def _sparse_bytes(arm: DemoModel) -> str:
    if not arm.files or not arm.files[FLOAT].sparse:
        return MISSING
    size = arm.files[FLOAT].size
    return f"{size.raw:,} ({size.gzip:,})"


def _int8_bytes(arm: DemoModel) -> str:
    if not arm.files:
        return MISSING
    size = arm.files[INT8].size
    return f"{size.raw:,} ({size.gzip:,})"


def _difference(variant: str) -> Callable[[DemoModel], str]:
    def cell(arm: DemoModel) -> str:
        found = arm.files[variant].max_abs_diff if arm.files else None
        return MISSING if found is None else f"{found:.1e}"

    return cell


def _agreement(arm: DemoModel) -> str:
    found = arm.files[INT8].verification if arm.files else None
    if found is None or found.agreement is None:
        return MISSING
    return f"{100 * found.agreement:.1f} %"


def _latency(variant: str) -> Callable[[DemoModel], str]:
    def cell(arm: DemoModel) -> str:
        latency = arm.files[variant].latency if arm.files else None
        return MISSING if latency is None else f"{latency.median:.3f} ms"

    return cell


_ROWS: dict[str, Callable[[DemoModel], str]] = {
    "accuracy": _accuracy,
    "non-zero weights": _weights,
    "float32 bytes (gzip)": _plain_bytes,
    "float32 sparse (gzip)": _sparse_bytes,
    "int8 bytes (gzip)": _int8_bytes,
    "float32 max |difference|": _difference(FLOAT),
    "int8 max |difference|": _difference(INT8),
    "int8 same class": _agreement,
    "float32 latency": _latency(FLOAT),
    "int8 latency": _latency(INT8),
}
