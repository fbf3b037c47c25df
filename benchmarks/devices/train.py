"""Trains the cases of the contract and compares the results."""

import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("Pruning", "Growing", "StochasticDepth")
"""The cases of a run that tests this folder."""


def cases(small: bool) -> Iterator[tuple[str, str, Any]]:
    """Yields component, name and function of every case of the contract."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    from contract import device_cases

    for component, name, fit in device_cases.cases():
        if not small or name in SMALL:
            yield component, name, fit


def train(fit: Any, **options: Any) -> tuple[list[np.ndarray], float]:
    """Returns the weights after training, and the last loss."""
    with tempfile.TemporaryDirectory() as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, history = fit(Path(folder), **options)
        return model.get_weights(), float(history["loss"][-1])


def compare(fit: Any, first: Any, second: Any) -> dict[str, Any]:
    """Trains a case under two contexts and returns the differences.

    Args:
        fit: The function of a case.
        first: A context manager and arguments of `compile`.
        second: Another one.

    Returns:
        The largest difference of a weight, that of the loss, and the largest
        weight; or under "failed" the error.
    """
    found = []
    for context, options in (first, second):
        try:
            with context:
                found.append(train(fit, **options))
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            return {"failed": f"{type(error).__name__}: {error}"[:200]}
    (mine, loss), (theirs, other) = found
    shapes = [[array.shape for array in one] for one in (mine, theirs)]
    if shapes[0] != shapes[1]:
        return {"failed": f"shapes differ: {shapes[0]} and {shapes[1]}"[:200]}
    floats = [
        (a, b) for a, b in zip(mine, theirs, strict=True) if a.dtype.kind == "f"
    ]
    return {
        "weights": max(float(np.abs(a - b).max(initial=0)) for a, b in floats),
        "loss": abs(loss - other),
        "largest": max(float(np.abs(b).max(initial=0)) for _, b in floats),
    }
