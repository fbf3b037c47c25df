"""Writes the parts of the docs that come from the registry.

`python scripts/make_docs.py` writes docs/methods/README.md, `--check` only
says whether it is current.
"""

import argparse
import sys
from pathlib import Path

from keras_netopt import registry

TARGET = Path(__file__).resolve().parent.parent / "docs/methods/README.md"
TEXT = """# Methods

Every public callback, layer and function. A card says how to use a method,
which settings to start from, how it works, what was measured (what did not
work too) and where its limits are.

{table}

This page is written by `make docs` from keras_netopt/registry.
"""


def main() -> int:
    """Returns 0 unless `--check` finds the page out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    text = TEXT.format(table=registry.to_markdown())
    if not check:
        TARGET.parent.mkdir(parents=True, exist_ok=True)
        TARGET.write_text(text, encoding="utf-8")
        return 0
    current = TARGET.exists() and TARGET.read_text(encoding="utf-8") == text
    if not current:
        print(f"{TARGET} is out of date. Remedy: make docs")
    return 0 if current else 1


if __name__ == "__main__":
    sys.exit(main())
