"""`keras-netopt methods`."""

import argparse
import difflib
from importlib import resources
from pathlib import Path
from typing import Any

from keras_netopt import registry, tables

KINDS = (
    *("callback", "layer", "loss", "schedule", "function"),
    *("oracle", "stopper", "tuner", "executor", "limit", "table", "agent"),
    "network",
)


def add_parser(commands: Any) -> None:
    """Adds the command."""
    methods = commands.add_parser(
        "methods", help="list all methods, or show how to use one"
    )
    methods.add_argument(
        "name",
        nargs="?",
        help="a method or its card, such as Pruning: shows its usage",
    )
    methods.add_argument(
        "--kind", choices=KINDS, help="list methods of this kind only"
    )
    methods.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    if arguments.name is not None:
        print(_usage(arguments.name))
        return
    drawn = []
    for kind in KINDS if arguments.kind is None else (arguments.kind,):
        rows = [
            [row.name, row.summary]
            for row in registry.METHODS
            if row.kind == kind
        ]
        if rows:
            headers = [f"{kind}: keras_netopt.", "purpose"]
            drawn.append(tables.render(headers, rows, width=112))
    print("\n".join(drawn))


def _usage(name: str) -> str:
    """Returns a card up to its section on how the method works."""
    cards: dict[str, str] = {}
    for row in registry.METHODS:
        names = [row.name, row.card]
        if registry.get(row.short_name) is row:
            names.append(row.short_name)
        cards |= {key.lower(): row.card for key in names if key and row.card}
    if name.lower() not in cards:
        near = difflib.get_close_matches(name.lower(), cards)
        hint = f"Nearest: {', '.join(near)}. " if near else ""
        raise ValueError(
            f"There is no method or card {name!r}. {hint}`keras-netopt "
            "methods` lists all of them."
        )
    file = resources.files("keras_netopt") / "cards"
    if not file.is_dir():  # The source tree keeps the cards in docs.
        file = Path(__file__).parents[2] / "docs" / "methods"
    text = (file / f"{cards[name.lower()]}.md").read_text(encoding="utf-8")
    return text.partition("\n## How it works")[0].rstrip()
