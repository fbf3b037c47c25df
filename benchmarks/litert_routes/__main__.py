"""Exports two networks by every route and compares the files.

    python -m benchmarks.litert_routes
    python -m benchmarks.litert_routes --nets image --engines ai-edge-quantizer

Needs the TensorFlow backend and the extra `int4`. Each route gets the trained
network as it is and with its kernels on the grid of the route. Rows that are
in the JSON already are not measured again; `--fresh` starts over. Takes a few
minutes on 2 cores.
"""

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.processes import render

NAME = "litert_routes"


def main() -> None:
    """Measures what is missing, then renders the table."""
    os.environ.update(
        {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    import keras

    from benchmarks.litert_routes import nets, tables
    from benchmarks.litert_routes.measure import measure
    from benchmarks.litert_routes.routes import ROUTES
    from benchmarks.records import Records

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", default=list(nets.NETS))
    parser.add_argument("--engines", nargs="+")
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    settings = {
        "seed": nets.SEED,
        "epochs": nets.EPOCHS,
        "calibration": nets.CALIBRATION,
        "held_out": nets.HELD_OUT,
    }
    records = Records(NAME, settings, fresh=arguments.fresh)
    for net in arguments.nets:
        model, data, held_out = nets.build(net)
        weights = model.get_weights()
        for route in ROUTES:
            if arguments.engines and route.engine not in arguments.engines:
                continue
            for on_grid in (False, True):
                key = {
                    "net": net,
                    "engine": route.engine,
                    "route": route.title,
                    "on_grid": on_grid,
                }
                if records.find(**key) is not None:
                    continue
                model.set_weights(weights)
                if on_grid:
                    nets.round_kernels(model, route.bits)
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder, "m.tflite")
                    found = measure(route, model, data, held_out, path)
                row = {**key, "bits": route.bits, **found}
                records.add(row)
                print(net, route.engine, route.title, tables.verdict(row))
                keras.backend.clear_session()
    render()


if __name__ == "__main__":
    main()
