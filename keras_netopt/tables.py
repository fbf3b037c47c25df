"""Plain-text tables in the style of `model.summary()`."""

import io
import numbers
from collections.abc import Sequence
from typing import Literal

MAX_WIDTH = 100
ALIGNMENTS: dict[str, Literal["left", "right", "center"]] = {
    "l": "left",
    "r": "right",
    "c": "center",
}


def render(
    headers: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    title: str | None = None,
    align: str | Sequence[str] | None = None,
    width: int = MAX_WIDTH,
) -> str:
    """Renders rows as a table of a limited width.

    Integers get thousands separators, floats four significant digits, `None`
    becomes "-"; pass a cell as a string to format it yourself. Cells that
    would make the table too wide are wrapped, never truncated.

    Example:

    >>> print(render(["layer", "weights"], [["dense", 1024], ["out", 80]]))
    ┏━━━━━━━┳━━━━━━━━━┓
    ┃ layer ┃ weights ┃
    ┡━━━━━━━╇━━━━━━━━━┩
    │ dense │   1,024 │
    │ out   │      80 │
    └───────┴─────────┘

    Args:
        headers: One title per column.
        rows: Cells, each row as long as `headers`; may be empty.
        title: A line above the table. Defaults to `None`.
        align: One of "l", "r" and "c" per column, as in "lrr". Defaults to
            `None`: columns of numbers to the right, others to the left.
        width: Width of the table in characters, at most. Defaults to `100`.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not headers:
        raise ValueError(
            "Argument `headers` must name at least one column. "
            f"Received: headers={headers!r}"
        )
    for row in rows:
        if len(row) != len(headers):
            raise ValueError(
                f"Each row must hold {len(headers)} cells, one per header. "
                f"Received: row={list(row)!r}"
            )
    if align is None:
        columns = [[row[i] for row in rows] for i in range(len(headers))]
        align = ["r" if _is_numeric(column) else "l" for column in columns]
    if len(align) != len(headers) or not set(align) <= set(ALIGNMENTS):
        raise ValueError(
            f'Argument `align` must hold {len(headers)} of "l", "r" and "c", '
            f"one per column. Received: align={align!r}"
        )
    table = Table(box=box.HEAVY_HEAD)
    for header, side in zip(headers, align, strict=True):
        justify = ALIGNMENTS[side]
        table.add_column(Text(str(header)), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(cell)) for cell in row))
    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        # The same text in a terminal, a notebook and a file.
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
        legacy_windows=False,
    )
    console.print(table)
    drawn = file.getvalue().rstrip("\n")
    return drawn if title is None else f"{title}\n{drawn}"


def count(number: int, what: str) -> str:
    """Returns a number of things.

    Example:

    >>> count(1, "trial"), count(2, "trial")
    ('1 trial', '2 trials')
    """
    return f"{number} {what}{'' if number == 1 else 's'}"


def _is_numeric(column: list[object]) -> bool:
    """Whether a column shows numbers, with or without a sign or unit."""
    held = [str(cell) for cell in column if str(cell) not in ("None", "", "-")]
    return bool(held) and all(map(_shows_number, held))


def _shows_number(text: str) -> bool:
    """Whether a string shows one number: "12 %", "± 0.1"."""
    digits = text.strip().lstrip("+-<>~±").replace(",", "").rstrip("%x× ")
    try:
        float(digits)
    except ValueError:
        return False
    return True


def _text(cell: object) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, numbers.Integral):
        return f"{int(cell):,}"
    if isinstance(cell, numbers.Real):
        return f"{float(cell):.4g}"
    return str(cell)
