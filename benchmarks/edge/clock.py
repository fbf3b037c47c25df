"""CPU time of training and of everything else."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any


def cpu_seconds() -> float:
    """Returns the CPU time of this process and of its ended children."""
    times = os.times()
    return sum(times[:4])


@contextlib.contextmanager
def timed_fits() -> Iterator[dict[str, float]]:
    """Counts `fit` calls and their CPU time.

    Yields:
        `{"fits": ..., "epochs": ..., "fit_seconds": ..., "seconds": ...}`,
        complete when the block ends.
    """
    import keras

    found = {"fits": 0, "epochs": 0, "fit_seconds": 0.0, "seconds": 0.0}
    plain = keras.Model.fit

    def fit(self: Any, *args: Any, **options: Any) -> Any:
        begin = cpu_seconds()
        history = plain(self, *args, **options)
        found["fits"] += 1
        found["epochs"] += len(history.epoch)
        found["fit_seconds"] += cpu_seconds() - begin
        return history

    begin = cpu_seconds()
    keras.Model.fit = fit
    try:
        yield found
    finally:
        keras.Model.fit = plain
        found["seconds"] = cpu_seconds() - begin
        for key in ("seconds", "fit_seconds"):
            found[key] = round(found[key], 1)
