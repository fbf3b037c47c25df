"""The demo: train, prune inside `fit`, export to LiteRT."""

import os
from dataclasses import replace
from pathlib import Path

import keras

from keras_netopt.demo.comparison import render_table, write_plot
from keras_netopt.demo.demo_model import (
    DemoData,
    DemoModel,
    build_model,
    fit,
    train_arm,
)
from keras_netopt.demo.litert_files import export_arm, measure_files
from keras_netopt.demo.progress_log import ProgressLog

__all__ = ["DemoModel", "run"]

EPOCHS = 10
SPARSITIES = (None, 0.8, 0.9)
QUICK_IMAGES = 600


def run(
    out: str | os.PathLike[str] = "demo-output",
    *,
    epochs: int | None = None,
    quick: bool = False,
) -> tuple[DemoModel, ...]:
    """Trains a small CNN, prunes it to 80 % and 90 %, exports and compares.

    All three models continue from the same trained model for the same number
    of epochs, the dense one without pruning. Prints progress and one table,
    writes the LiteRT files and a plot. The JAX and torch backends cannot
    write LiteRT files; the table then omits sizes and latencies. On the
    command line: `keras-netopt demo`.

    Example:

    >>> run(epochs=0)
    Traceback (most recent call last):
        ...
    ValueError: Argument `epochs` must be at least 1. Received: epochs=0

    Args:
        out: Folder for the files, created if missing. Defaults to
            `"demo-output"`.
        epochs: Epochs before pruning and again with pruning, at least 1.
            Defaults to `None`: 10.
        quick: Whether to use 600 images and one epoch. Defaults to `False`.

    Returns:
        The measurements of each model: dense, 80 %, 90 %.

    Raises:
        ValueError: If `epochs` is below 1.
        OSError: If `out` cannot be written.
    """
    epochs = (1 if quick else EPOCHS) if epochs is None else epochs
    if epochs < 1:
        raise ValueError(
            f"Argument `epochs` must be at least 1. Received: epochs={epochs}"
        )
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    exports = keras.backend.backend() == "tensorflow"
    if not exports:
        print(
            "LiteRT files take five CPU seconds more each on the "
            f"{keras.backend.backend()} backend: sizes and latencies are "
            "omitted. Remedy: KERAS_BACKEND=tensorflow"
        )
    data = DemoData.load(QUICK_IMAGES if quick else None)
    progress = ProgressLog(2 + 2 * len(SPARSITIES) if exports else 4)
    progress.begin(
        f"Train a small CNN: {epochs} epochs, {len(data.x_train):,} images"
    )
    trained = build_model()
    fit(trained, data, epochs)
    arms = []
    for sparsity in SPARSITIES:
        model, arm = train_arm(trained, data, epochs, sparsity, progress)
        if exports:
            progress.begin(f"Export {arm.name}: float32 and dynamic int8")
            arm = replace(arm, files=export_arm(model, arm, data, folder))
        arms.append(arm)
    if exports:
        progress.begin("Measure the latency of all files")
        arms = measure_files(arms, data)
    print(f"\n{render_table(arms, len(data.x_test))}")
    print("Zeros make files smaller, not faster; int8 does both.")
    write_plot(arms, folder)
    print(f"Folder: {folder}{os.sep}   Time: {progress.seconds:.0f} s")
    return tuple(arms)
