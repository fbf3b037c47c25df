"""Compares the report of 30 exports with the files on held-out samples.

    python -m benchmarks.litert_verification

Each model is exported with samples that are sorted by class. Rows that are in
the JSON already are not measured again; `--fresh` measures all again.
"""

import argparse
import os
import subprocess
import sys

NAME = "litert_verification"


def main() -> None:
    """Measures what is missing, then renders the tables."""
    os.environ.update(
        {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    from benchmarks.litert_verification import measure, models, tables
    from benchmarks.records import Records

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    settings = {"trained": models.TRAINED, "modes": list(measure.MODES)}
    records = Records(NAME, settings, fresh=arguments.fresh)
    for name in models.NAMES:
        missing = [
            mode
            for mode in measure.MODES
            if records.find(model=name, mode=mode) is None
            and (name, mode) != measure.IMPOSSIBLE
        ]
        made = models.make(name) if missing else None
        for mode in missing:
            row = {"model": name, "mode": mode, **measure.measure(*made, mode)}
            records.add(row)
            print(" | ".join(tables.cells(row)), flush=True)
    subprocess.run([sys.executable, "-m", "benchmarks.render"], check=True)


if __name__ == "__main__":
    main()
