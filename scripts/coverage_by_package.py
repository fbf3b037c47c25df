"""Prints statement and branch coverage of each package.

Reads the JSON report of coverage.py:

    python -m coverage json -o build/coverage.json
    python scripts/coverage_by_package.py build/coverage.json
"""

import json
import sys
from collections import Counter
from pathlib import Path


def find_package(path: str) -> str:
    """`keras_netopt/depth/exits/calibrate.py` -> `keras_netopt/depth`."""
    parts = Path(path).parent.parts
    return "/".join(parts[: 2 if parts[0] == "keras_netopt" else 1])


def main() -> None:
    """Prints the table of the report named on the command line."""
    files = json.loads(Path(sys.argv[1]).read_text())["files"]
    packages: dict[str, Counter[str]] = {}
    for path, file in sorted(files.items()):
        for name in (find_package(path), "total"):
            packages.setdefault(name, Counter()).update(file["summary"])
    packages["total"] = packages.pop("total")
    print(f"{'package':26} {'statements':>10} {'':>7} {'branches':>9}")
    for name, found in packages.items():
        statements, branches = found["num_statements"], found["num_branches"]
        print(
            f"{name:26} {statements:10}"
            f" {found['covered_lines'] / statements:7.1%} {branches:9}"
            f" {found['covered_branches'] / branches:7.1%}"
        )


if __name__ == "__main__":
    main()
