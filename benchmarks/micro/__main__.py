"""Writes files of each form and runs them in TFLite Micro.

    python -m benchmarks.micro
    python -m benchmarks.micro --nets LSTM GRU

Needs the TensorFlow backend and the extras `micro` and `int4`. Rows that are
in the JSON already are not measured again; `--fresh` starts over. Takes ten
minutes on 2 cores.
"""

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.processes import render

NAME = "micro"


def main() -> None:
    """Measures what is missing, then renders the tables."""
    os.environ.update(
        {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    import keras

    from benchmarks.micro.cases import CASES, SAMPLES, SEED
    from benchmarks.micro.measure import measure
    from benchmarks.records import Records

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+")
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    settings = {"seed": SEED, "samples": SAMPLES}
    records = Records(NAME, settings, fresh=arguments.fresh)
    for case in CASES:
        if arguments.nets and case.net not in arguments.nets:
            continue
        if records.find(net=case.net, form=case.form) is not None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            for row in measure(case, Path(folder)):
                records.add({"net": case.net, "form": case.form, **row})
                print(case.net, "|", case.form, "|", row, flush=True)
        keras.backend.clear_session()
    render()


if __name__ == "__main__":
    main()
