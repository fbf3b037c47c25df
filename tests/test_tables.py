import re

import numpy as np
import pytest

from keras_netopt.tables import MAX_WIDTH, render

pytestmark = pytest.mark.no_backend


def test_table_is_drawn_exactly():
    table = render(
        ["layer", "weights", "sparsity"],
        [["dense", 1068340, 0.9], ["out", np.int64(80), None]],
        title="Report",
    )
    assert table.splitlines() == [
        "Report",
        "┏━━━━━━━┳━━━━━━━━━━━┳━━━━━━━━━━┓",
        "┃ layer ┃   weights ┃ sparsity ┃",
        "┡━━━━━━━╇━━━━━━━━━━━╇━━━━━━━━━━┩",
        "│ dense │ 1,068,340 │      0.9 │",
        "│ out   │        80 │        - │",
        "└───────┴───────────┴──────────┘",
    ]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (True, "yes"),
        (False, "no"),
        (None, "-"),
        (1234567, "1,234,567"),
        (np.float32(0.123456), "0.1235"),
        (12345678.0, "1.235e+07"),
        ((3, 3, 1), "(3, 3, 1)"),
    ],
)
def test_cells_are_formatted_by_type(cell, text):
    assert render(["x"], [[cell]]).splitlines()[3].strip("│ ") == text


@pytest.mark.parametrize(
    ("column", "side"),
    [
        (["12 %", "3 %"], "right"),
        (["± 0.1", "-2"], "right"),
        (["1,024", "80"], "right"),
        (["3 ms", "12 ms"], "left"),
        ([None, 1], "right"),
        ([None, None], "left"),
        (["1", "one"], "left"),
    ],
)
def test_columns_of_numbers_go_to_the_right(column, side):
    lines = render(["a wide header"], [[c] for c in column]).splitlines()[3:-1]
    padded = [line.startswith("│  ") for line in lines]
    assert padded == [side == "right"] * len(column)


def test_align_overrides_the_guess():
    line = render(["aaa", "bbb"], [["x", 1]], align="cl").splitlines()[3]
    assert line == "│  x  │ 1   │"


def test_wide_tables_are_wrapped_and_nothing_is_lost():
    words = [f"word{i}" for i in range(60)]
    table = render(
        ["key", "why"], [["block/" * 30, " ".join(words)], ["short", "-"]]
    )
    assert max(map(len, table.splitlines())) == MAX_WIDTH
    assert re.findall(r"word\d+", table) == words
    column = "".join(line[2:].split(" │ ")[0] for line in table.splitlines())
    assert column.count("block/") + column.count("b") >= 30


def test_terminal_and_notebook_settings_change_nothing(monkeypatch):
    expected = render(["a", "b"], [["[red]x[/red]", ":smile: " * 20]])
    assert "[red]x[/red]" in expected
    assert ":smile:" in expected
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    for name, value in [("FORCE_COLOR", "1"), ("COLUMNS", "20")]:
        monkeypatch.setenv(name, value)
    for term in ("dumb", "xterm-256color"):
        monkeypatch.setenv("TERM", term)
        assert render(["a", "b"], [["[red]x[/red]", ":smile: " * 20]]) == (
            expected
        )


def test_newlines_in_cells_make_rows_higher():
    body = render(["a", "b"], [["one\ntwo", 3]]).splitlines()[3:-1]
    assert body == ["│ one │ 3 │", "│ two │   │"]


def test_no_rows_leave_the_head():
    assert len(render(["a", "b"], []).splitlines()) == 4


def test_row_of_another_length_raises():
    message = (
        "Each row must hold 2 cells, one per header. Received: row=[1, 2, 3]"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        render(["a", "b"], [[1, 2, 3]])


def test_no_headers_raise():
    message = (
        "Argument `headers` must name at least one column. Received: headers=[]"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        render([], [])


@pytest.mark.parametrize("align", ["l", "lx", ["left", "l"]])
def test_unknown_align_raises(align):
    message = (
        'Argument `align` must hold 2 of "l", "r" and "c", one per column. '
        f"Received: align={align!r}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        render(["a", "b"], [], align=align)
