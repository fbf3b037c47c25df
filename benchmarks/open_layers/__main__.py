"""Edits a tiny model of each family of keras_hub, one process each.

    python -m benchmarks.open_layers
    python -m benchmarks.open_layers --families Bert Llama --backends jax

Rows that are in the JSON already are not measured again; `--fresh` starts
over, `--again` measures the named families again. All families on two
backends take about an hour on 2 cores.
"""

import argparse
import os

from benchmarks.processes import measure_part, render

NAME = "open_layers"
BACKENDS = ("tensorflow", "jax")
MEASURE = "benchmarks.open_layers.measure"


def main() -> None:
    """Measures what is missing, then renders the tables."""
    os.environ.update(
        {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    from benchmarks import hub_families
    from benchmarks.open_layers import tables
    from benchmarks.records import Records

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--families", nargs="+", default=list(hub_families.names())
    )
    parser.add_argument("--backends", nargs="+", default=list(BACKENDS))
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--again", action="store_true")
    arguments = parser.parse_args()
    records = Records(
        NAME, {"share": 0.5, "factor": 1.5}, fresh=arguments.fresh
    )
    for family in arguments.families:
        for backend in arguments.backends:
            key = {"family": family, "backend": backend}
            if records.find(**key) is not None:
                if not arguments.again:
                    continue
                records.rows.remove(records.find(**key))
            row = {**key, **measure_part(MEASURE, backend, [family])}
            records.add(row)
            print(family, backend, tables.verdict(row), flush=True)
    render()


if __name__ == "__main__":
    main()
