"""Reports and edits of a trained model."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.keras_io_examples.outcome import Row, attempt
from keras_netopt import cost, sparsity, surgery


def check(model: keras.Model, x: Any, space: Row, folder: Path) -> Row:
    """Counts the model, cuts half of its channels, saves and loads it.

    Args:
        model: Trained.
        x: A few inputs.
        space: The names that the example defines: its classes.
        folder: Where files may be written.

    Returns:
        What became of each.
    """
    row = {
        "summarize": attempt(lambda: summarize(model)),
        "report": attempt(lambda: report(model)),
    }
    path, classes = folder / "model.keras", own_classes(space)
    unedited = attempt(lambda: reloaded(model, x, path, classes))
    row["cut"] = attempt(lambda: cut(model, x))
    if row["cut"]["state"] == "ok":
        if unedited["state"] == "ok":
            row["reload"] = attempt(lambda: reloaded(model, x, path, classes))
        else:
            why = f"unedited, too: {unedited['error']}"
            row["reload"] = {"state": "not applicable", "why": why}
    return row


def summarize(model: keras.Model) -> Row:
    """Parameters and MACs."""
    found = cost.summarize(model)
    str(found)
    return {"params": found.params, "macs": found.macs}


def report(model: keras.Model) -> Row:
    """Share of zeros."""
    found = sparsity.report(model)
    str(found)
    return {"sparsity": round(float(found.sparsity), 3)}


def cut(model: keras.Model, x: Any) -> Row:
    """Half of the channels that may go."""
    before = model.count_params()
    str(surgery.prune_channels(model, 0.5))
    return {
        "params": [before, model.count_params()],
        "finite": is_finite(model, x),
    }


def reloaded(
    model: keras.Model, x: Any, path: Path, classes: dict[str, type]
) -> Row:
    """How far the loaded model is from the saved one."""
    model.save(path)
    other = keras.saving.load_model(path, custom_objects=classes)
    pairs = zip(outputs(model, x), outputs(other, x), strict=True)
    return {"difference": max(float(np.abs(a - b).max()) for a, b in pairs)}


def own_classes(space: Row) -> dict[str, type]:
    """The layers, models and functions of an example, by name."""
    return {
        name: one
        for name, one in space.items()
        if getattr(one, "__module__", None) == space["__name__"]
    }


def outputs(model: keras.Model, x: Any) -> list[np.ndarray]:
    """Arrays that the compiled function returns."""
    found = model.predict(x, batch_size=8, verbose=0)
    return [np.asarray(one) for one in keras.tree.flatten(found)]


def is_finite(model: keras.Model, x: Any) -> bool:
    """Whether all outputs are numbers."""
    return all(bool(np.isfinite(one).all()) for one in outputs(model, x))
