"""Times the LiteRT files that the rules about x86 speak of.

    python -m benchmarks.advice

Needs the TensorFlow backend and the extra `int4`. Rows that are in the JSON
already are not measured again; `--fresh` starts over. Takes a few minutes.
"""

import argparse
import os
import statistics
import tempfile
import warnings

from benchmarks.processes import render

NAME = "advice"
REPEATS, ROUNDS = 5, 60


def main() -> None:
    """Measures what is missing, then renders the tables."""
    os.environ.update(
        {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    import keras

    from benchmarks.advice import nets
    from benchmarks.advice.arms import ARMS, write
    from benchmarks.records import Records

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fresh", action="store_true")
    fresh = parser.parse_args().fresh
    records = Records(NAME, {"repeats": REPEATS, "rounds": ROUNDS}, fresh=fresh)
    warnings.simplefilter("ignore")
    for name, build in nets.NETS.items():
        if records.find(net=name) is None:
            models = dict.fromkeys(ARMS, build)
            for row in _measure(models, write):
                records.add({"net": name, **row})
    name = "normalization"
    if records.find(net=name) is None:
        models = {
            "before the activation": nets.normalized_before,
            "behind the activation": lambda: nets.normalized_before(True),
        }
        for row in _measure(
            models, lambda model, arm, path: write(model, "float32", path)
        ):
            records.add({"net": name, **row})
    keras.backend.clear_session()
    render()


def _measure(models, write):
    """Writes the file of each arm, and times all in one loop."""
    import keras

    from keras_netopt.cost import measure_latency
    from keras_netopt.export import inspect_file

    with tempfile.TemporaryDirectory() as folder:
        paths, rows = {}, {}
        for arm, build in models.items():
            keras.utils.set_random_seed(0)
            path = os.path.join(folder, f"{len(paths)}.tflite")
            write(build(), arm, path)
            report = inspect_file(path)
            rows[arm] = {**vars(report.size), "ops": report.ops}
            paths[arm] = path
        ratios = {arm: [] for arm in paths}
        times = {arm: [] for arm in paths}
        first = next(iter(paths))
        for _ in range(REPEATS):
            found = measure_latency(paths, rounds=ROUNDS)
            for arm in paths:
                times[arm].append(found[arm].median)
                ratios[arm].append(found[arm].median / found[first].median)
    for arm, row in rows.items():
        yield {
            "arm": arm,
            **row,
            "milliseconds": statistics.median(times[arm]),
            "ratios": sorted(ratios[arm]),
        }


if __name__ == "__main__":
    main()
