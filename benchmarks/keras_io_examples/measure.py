"""Runs one example with callbacks appended and writes down what came of it.

KERAS_BACKEND=jax python -m benchmarks.keras_io_examples.measure FOLDER PATH
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import keras

from benchmarks.keras_io_examples import stand_ins, trained
from benchmarks.keras_io_examples.appended import CALLBACKS, NotApplicable
from benchmarks.keras_io_examples.examples import EXAMPLES, Example
from benchmarks.keras_io_examples.outcome import Row, attempt, describe

SAMPLES, STEPS, EPOCHS, BATCH = 24, 2, 2, 8


class Left(BaseException):
    """Ends an example after its last `fit` that counts."""


class Fits:
    """Takes the place of `keras.Model.fit` while an example runs.

    Args:
        example: What runs.
        callback: Name of what is appended.
        space: The names that the example defines.
        folder: Where files may be written.
    """

    def __init__(
        self, example: Example, callback: str, space: Row, folder: Path
    ) -> None:
        self.example, self.callback = example, callback
        self.space, self.folder = space, folder
        self.rows: list[Row] = []
        self.fit = keras.Model.fit

    def __call__(
        self,
        model: keras.Model,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        **options: Any,
    ) -> Any:
        """Trains on few samples with the callback, then leaves."""
        x, y = few(x), few(y)
        options |= {"epochs": min(epochs, EPOCHS), "verbose": 0}
        if batch_size is not None:
            options["batch_size"] = min(batch_size, BATCH)
        if options.get("validation_data") is not None:
            options["validation_data"] = few(options["validation_data"])
        row = attempt(lambda: self._train(model, x, y, options))
        if row["state"] in ("refused", "failed"):
            plain = attempt(
                lambda: self.fit(model, x, y, **options) and None  # type: ignore[func-returns-value]
            )
            row["plain_fit"] = plain.get("error", "ok")
        self.rows.append(row)
        if self.callback == "Pruning":
            row |= trained.check(model, x, self.space, self.folder)
        if len(self.rows) == self.example.fits:
            raise Left
        return model.history

    def _train(
        self, model: keras.Model, x: Any, y: Any, options: Row
    ) -> Row | None:
        try:
            callbacks, x, y, changed = CALLBACKS[self.callback](model, x, y)
        except NotApplicable as reason:
            self.fit(model, x, y, **options)
            return {"state": "not applicable", "why": str(reason)}
        own = list(options.get("callbacks") or [])
        options = {**options, "callbacks": [*own, *callbacks]}
        if changed:
            options = {
                name: value
                for name, value in options.items()
                if name not in ("batch_size", "validation_split")
            }
        before = model.count_params() if model.built else None
        history = self.fit(model, x, y, **options)
        return {
            "params": [before, model.count_params()],
            "finite": trained.is_finite(model, x),
            "logs": sorted(set(history.history) - {"loss", "val_loss"}),
        }


def few(data: Any) -> Any:
    """The first samples of arrays, the first batches of a dataset."""
    if data is None or hasattr(data, "take") and hasattr(data, "map"):
        return data if data is None else data.take(STEPS)
    return keras.tree.map_structure(lambda one: one[:SAMPLES], data)


def run(source: Path, example: Example, callback: str, folder: Path) -> Row:
    """Runs an example with one callback.

    Args:
        source: Its file.
        example: What is known of it.
        callback: One of `CALLBACKS`.
        folder: Where files may be written.

    Returns:
        What became of each `fit`.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    space = {"__name__": "example", "__file__": str(source)}
    fits = Fits(example, callback, space, folder)
    keras.Model.fit = lambda *given, **named: fits(*given, **named)
    start, row = time.perf_counter(), {}
    try:
        exec(compile(source.read_text(), str(source), "exec"), space)
    except Left:
        pass
    except Exception as error:  # noqa: BLE001
        row["example"] = {**describe(error), "state": "failed"}
    finally:
        keras.Model.fit = fits.fit
    seconds = round(time.perf_counter() - start, 1)
    return {**row, "fits": fits.rows, "seconds": seconds}


def main() -> None:
    """Measures the example that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("examples", type=Path)
    parser.add_argument("path")
    arguments = parser.parse_args()
    os.environ["MPLBACKEND"] = "agg"
    keras.config.disable_traceback_filtering()
    example = next(e for e in EXAMPLES if e.path == arguments.path)
    source = (arguments.examples / f"{example.path}.py").resolve()
    found, out = {}, sys.stdout
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        folder = Path(name)
        stand_ins.install(folder, example.images)
        sys.stdout = sys.stderr
        for callback in CALLBACKS:
            found[callback] = run(source, example, callback, folder)
    print(json.dumps(found), file=out)


if __name__ == "__main__":
    main()
