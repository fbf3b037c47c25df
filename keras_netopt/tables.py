"""Plain-text tables, drawn as `model.summary()` draws them."""

import numbers
import textwrap
from collections.abc import Sequence

MAX_WIDTH = 100
MIN_COLUMN = 10
ALIGNMENTS = {"l": str.ljust, "r": str.rjust, "c": str.center}


def render(
    headers: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    title: str | None = None,
    align: str | Sequence[str] | None = None,
) -> str:
    """Renders rows as a table of at most 100 characters a line.

    Integers get thousands separators, floats four significant digits, `None`
    becomes "-"; format a cell as a string to decide yourself. Columns that
    would make the table too wide are wrapped, never cut.

    Example:

    >>> print(render(["layer", "weights"], [["dense", 1024], ["out", 80]]))
    ┏━━━━━━━┳━━━━━━━━━┓
    ┃ layer ┃ weights ┃
    ┡━━━━━━━╇━━━━━━━━━┩
    │ dense │   1,024 │
    │ out   │      80 │
    └───────┴─────────┘

    Args:
        headers: One title a column.
        rows: Cells, each row as long as `headers`; may be empty.
        title: A line above the table. Defaults to `None`.
        align: One of "l", "r" and "c" a column, as in "lrr". Defaults to
            `None`: columns of numbers to the right, others to the left.

    Returns:
        The table as one string without a trailing newline.

    Raises:
        ValueError: If `headers` is empty, a row has another length than
            `headers`, or `align` does not name one side a column.
    """
    if not headers:
        raise ValueError(
            "Argument `headers` must name at least one column. "
            f"Received: headers={headers!r}"
        )
    for row in rows:
        if len(row) != len(headers):
            raise ValueError(
                f"Each row must hold {len(headers)} cells, one a header. "
                f"Received: row={list(row)!r}"
            )
    sides = _sides(align, rows, len(headers))
    cells = [[_text(cell) for cell in row] for row in rows]
    widths = _fit_widths([list(map(str, headers)), *cells])
    head = _draw_row(list(map(str, headers)), widths, sides, "┃")
    body = [line for row in cells for line in _draw_row(row, widths, sides)]
    lines = [_rule("┏━┳┓", widths), *head, _rule("┡━╇┩", widths)]
    lines += [*body, _rule("└─┴┘", widths)]
    return "\n".join(([title] if title else []) + lines)


def _sides(
    align: str | Sequence[str] | None,
    rows: Sequence[Sequence[object]],
    columns: int,
) -> Sequence[str]:
    if align is None:
        return [_side([row[i] for row in rows]) for i in range(columns)]
    if len(align) != columns or not set(align) <= set(ALIGNMENTS):
        raise ValueError(
            f'Argument `align` must hold {columns} of "l", "r" and "c", one '
            f"a column. Received: align={align!r}"
        )
    return align


def _side(column: list[object]) -> str:
    held = [cell for cell in column if str(cell) not in ("None", "", "-")]
    return "r" if held and all(map(_is_numeric, held)) else "l"


def _is_numeric(cell: object) -> bool:
    """Whether a cell is a number or a string that shows one: "12 %"."""
    digits = str(cell).strip().lstrip("+-<>~±").replace(",", "")
    digits = digits.rstrip("%x× ")
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


def _fit_widths(table: list[list[str]]) -> list[int]:
    """Narrows the widest columns until the table fits `MAX_WIDTH`."""
    widths = [
        max(len(line) for cell in column for line in [*cell.split("\n"), ""])
        for column in zip(*table, strict=True)
    ]
    while sum(widths) + 3 * len(widths) + 1 > MAX_WIDTH:
        widest = widths.index(max(widths))
        if widths[widest] <= MIN_COLUMN:
            break
        widths[widest] -= 1
    return widths


def _draw_row(
    row: list[str], widths: list[int], sides: Sequence[str], bar: str = "│"
) -> list[str]:
    columns = [
        _wrap(cell, width) for cell, width in zip(row, widths, strict=True)
    ]
    height = max(map(len, columns))
    lines = []
    for i in range(height):
        parts = [
            ALIGNMENTS[side](column[i] if i < len(column) else "", width)
            for column, width, side in zip(columns, widths, sides, strict=True)
        ]
        lines.append(f"{bar} " + f" {bar} ".join(parts) + f" {bar}")
    return lines


def _wrap(cell: str, width: int) -> list[str]:
    lines: list[str] = []
    for line in cell.split("\n"):
        lines += textwrap.wrap(line, max(width, 1)) or [""]
    return lines


def _rule(characters: str, widths: list[int]) -> str:
    left, line, cross, right = tuple(characters)
    return left + cross.join(line * (width + 2) for width in widths) + right
