"""Writes the measured tables into the method cards.

A card marks the place of a table by two comment lines:

    <!-- benchmark: pruning accuracy -->
    <!-- end benchmark -->

`python -m benchmarks.render` replaces what stands between them and writes
all tables to `benchmarks/results/*.md`; with `--check` it changes nothing and
fails where a card differs from the JSON.
"""

import argparse
import re
import sys
from pathlib import Path

from benchmarks.adaptive_depth import (
    block_tables,
    exit_tables,
    parity_tables,
    skip_tables,
)
from benchmarks.applications import tables as applications
from benchmarks.channel_pruning import tables as channel_pruning
from benchmarks.curriculum import tables as curriculum
from benchmarks.growing import tables as growing
from benchmarks.hpo import stopping_tables, training_tables
from benchmarks.hpo import tables as hpo
from benchmarks.learning_rate import tables as learning_rate
from benchmarks.pruning import tables as pruning
from benchmarks.records import RESULTS

CARDS = Path(__file__).parents[1] / "docs" / "methods"
# By the name of the overview in benchmarks/results.
GROUPS = {
    "pruning": pruning.TABLES,
    "channel_pruning": channel_pruning.TABLES,
    "growing": growing.TABLES,
    "curriculum": curriculum.TABLES,
    "adaptive_depth": {
        **exit_tables.TABLES,
        **block_tables.TABLES,
        **parity_tables.TABLES,
        **skip_tables.TABLES,
    },
    "hpo": {
        **hpo.TABLES,
        **training_tables.TABLES,
        **stopping_tables.TABLES,
    },
    "learning_rate": learning_rate.TABLES,
    "applications": applications.TABLES,
}
TABLES = {
    name: table for group in GROUPS.values() for name, table in group.items()
}
BLOCK = re.compile(
    r"(<!-- benchmark: (?P<name>[^>]*?) -->\n).*?(<!-- end benchmark -->)",
    re.DOTALL,
)


def main() -> None:
    """Renders every card, or checks that it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    texts = {RESULTS / f"{name}.md": _overview(name) for name in GROUPS}
    for card in sorted(CARDS.glob("*.md")):
        texts[card] = fill(card.read_text(), card.name)
    stale = []
    for path, text in texts.items():
        if not path.exists() or path.read_text() != text:
            stale.append(path.name)
            if not check:
                path.write_text(text)
    if check and stale:
        sys.exit(f"Run `python -m benchmarks.render`. Stale: {stale}")
    print("rendered:", ", ".join(stale) or "nothing has changed")


def fill(text: str, source: str) -> str:
    """Returns the text with every marked block filled from the JSON.

    Args:
        text: A card.
        source: Its name, for the error.

    Raises:
        ValueError: If a marker names no table.
    """

    def replace(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in TABLES:
            raise ValueError(
                f"A marker in {source} must name one of {sorted(TABLES)}. "
                f"Received: benchmark={name!r}"
            )
        return f"{match[1]}\n{TABLES[name]()}\n\n{match[3]}"

    return BLOCK.sub(replace, text)


def _overview(group: str) -> str:
    words = group.replace("_", " ")
    head = f"# {words.capitalize()}, measured"
    parts = [f"{head}\n\nMade by `python -m benchmarks.render`."]
    for name, table in GROUPS[group].items():
        title = name.removeprefix(f"{words} ").capitalize()
        parts.append(f"## {title}\n\n{table()}")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
