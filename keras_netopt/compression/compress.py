"""Compresses a trained model until its LiteRT file meets a budget."""

import contextlib
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from keras_netopt.checks import check_choice
from keras_netopt.compression.compression_run import CompressionRun, load_model
from keras_netopt.compression.result import CompressionResult
from keras_netopt.compression.run_folder import REMEDY, RunFolder
from keras_netopt.compression.run_settings import RunSettings
from keras_netopt.compression.stage import as_columns
from keras_netopt.compression.target import Target
from keras_netopt.depth.exits.fingerprint import weights_fingerprint
from keras_netopt.export.export_error import ExportError
from keras_netopt.export.kept_process import keep_process
from keras_netopt.export.output_files import check_target
from keras_netopt.files import name_unreadable, open_partial, write_aside
from keras_netopt.warnings import TargetMissedWarning


def compress(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    target: Target,
    validation_data: Any,
    path: str | os.PathLike[str],
    max_drop: float = 0.01,
    epochs: int = 10,
    batch_size: int = 32,
    sample_weight: Any = None,
    metric: Any = None,
    mode: str = "auto",
    learning_rate: float | None = None,
    distillation: Any = True,
    callbacks: Any = None,
    folder: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    seed: int = 0,
    verbose: int = 1,
) -> CompressionResult:
    """Compresses a trained model until its LiteRT file meets a budget.

    Channels are removed, zeros set and kernels rounded, as far as the limits
    require and no further: files of cut copies are written and measured
    before anything is trained, and the cut is distributed over the layers by
    what each layer gains. Then the smaller model is trained, with the
    original as its teacher, exported, verified and measured. The run ends
    with the first file that meets the target and `max_drop`; otherwise the
    remaining epochs go to what promises most. The original model is not
    changed.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    >>> model.compile("adam", "mse")
    >>> x, y = np.zeros((64, 8)), np.zeros((64, 3))
    >>> netopt.compress(
    ...     model, x, y, validation_data=(x, y), path="model.pb",
    ...     target=netopt.Target(kilobytes=2),
    ... )
    Traceback (most recent call last):
        ...
    ValueError: Argument `path` must end in '.tflite'. Received: \
path='model.pb'

    Args:
        model: A built, compiled and trained model: Functional, Sequential or
            subclassed.
        x: Training inputs: an array, a list or dict of arrays; or a data set
            of batches `(x, y)` or `(x, y, sample_weight)` that `fit` takes.
        y: Labels. Defaults to `None`: in the batches of `x`.
        target: The limits of the file.
        validation_data: `(x, y)`, `(x, y, sample_weight)` or a data set of
            such batches. Files are judged and chosen by it, so that it says
            less about new data than a further test set.
        path: The file to write, ending in `.tflite`.
        max_drop: By how much the metric of the file may be worse than that of
            the original float32 file, in units of the metric: 0.01 is one
            point of accuracy. Defaults to `0.01`.
        epochs: Epochs of all stages together, at least 1. Defaults to `10`.
        batch_size: Samples per batch, if `x` is arrays. Defaults to `32`.
        sample_weight: One weight per sample, if `x` is arrays. Defaults to
            `None`.
        metric: The metric that judges files, as in `export.evaluate`: a name,
            a `keras.metrics.Metric`, a function of labels and outputs, or a
            dict of one of them by output. Defaults to `None`: the accuracy of
            classes, the mean squared error of numbers.
        mode: "max" if higher values are better, "min" if lower ones are;
            "auto" takes "min" for names with the words loss and error.
            Defaults to `"auto"`.
        learning_rate: Rate at the beginning of a stage; it falls to 2 % of it
            along a cosine. Defaults to `None`: that with which the model's
            optimizer began.
        distillation: Whether the original teaches the smaller model; a dict
            of arguments of `callbacks.Distillation`, such as
            `{"temperature": 2.0}`. Defaults to `True`.
        callbacks: Further callbacks of every fit. Defaults to `None`.
        folder: Folder for weights, files and results. A killed run continues
            there if the same call is made again. Defaults to `None`: a
            temporary one, which is kept only after an error.
        overwrite: Whether to replace a file at `path`. Defaults to `False`.
        seed: Seed of weights, orders and samples. Sets Keras' global seed.
            Defaults to `0`.
        verbose: 1 shows one progress bar for the whole run and a line per
            file, 0 nothing. Defaults to `1`.

    Returns:
        The result: the file, its model, all measured files, one history, and
        what stood in the way if the target was missed.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, the model is unbuilt, not
            compiled or cannot be copied, no cut of the model reaches the
            limits, or `folder` holds another run; before anything is trained.
        ExportError: If the model cannot be converted, or no stage gave a
            file. It is a `ValueError`.
        OSError: If a file cannot be written: `FileExistsError` if there is a
            file at `path` and `overwrite` is `False`.
    """
    start = time.perf_counter()
    final = check_target(path, overwrite)
    _check_writeable(final)
    check_choice(str(verbose), "verbose", ("0", "1"))
    settings = RunSettings.create(
        model,
        x,
        y,
        validation_data=validation_data,
        target=target,
        max_drop=max_drop,
        epochs=epochs,
        batch_size=batch_size,
        sample_weight=sample_weight,
        metric=metric,
        mode=mode,
        learning_rate=learning_rate,
        distillation=distillation,
        callbacks=callbacks,
        seed=seed,
    )
    with _open_folder(folder) as place, keep_process():
        run = CompressionRun(
            settings, RunFolder(place, _fingerprint(settings)), verbose
        )
        spent = run.seconds.get("total", 0.0)
        run.run()
        if not run.candidates:
            raise ExportError(
                "No stage gave a file that passes the verification: "
                f"{'; '.join(run.failures)}"
            )
        best = run.best()
        found = run.candidates[best]
        smaller = load_model(run, found)
        _deliver(run.folder.file(found.file), final)
        run.seconds["total"] = spent + time.perf_counter() - start
        run.folder.save()
    result = CompressionResult(
        path=final,
        model=smaller,
        target=target,
        max_drop=settings.max_drop,
        original=run.original,
        candidates=tuple(run.candidates),
        best=best,
        metric=run.writer.metric,
        history=as_columns(run.folder.state["history"]),
        failures=tuple(run.failures),
        seconds=dict(run.seconds),
        planned_files=run.folder.state.get("planned_files", 0),
        is_lower_better=settings.judge.falls(run.writer.metric),
    )
    if result.met:
        run.line.end("target met")
    else:
        warnings.warn(
            f"the nearest file was written to {final}, but it misses the "
            f"target: {'; '.join(result.in_the_way)}.",
            TargetMissedWarning,
            stacklevel=2,
        )
    return result


def _fingerprint(settings: RunSettings) -> dict[str, Any]:
    """Returns what the results of a run depend on."""
    return {
        "model": weights_fingerprint(settings.model),
        "target": repr(settings.target),
        "max_drop": settings.max_drop,
        "epochs": settings.epochs,
        "batch_size": settings.data.batch_size,
        "learning_rate": settings.rate,
        "seed": settings.seed,
        "backend": keras.backend.backend(),
    }


def _check_writeable(path: str) -> None:
    """Raises OSError if no file can be made beside a path."""
    with open_partial(path) as probe, open(probe, "xb"):
        pass


@contextlib.contextmanager
def _open_folder(folder: Any) -> Iterator[str]:
    """Gives the folder of a run; a temporary one is kept after an error."""
    if folder is not None:
        if not isinstance(folder, str | os.PathLike):
            raise TypeError(
                "Argument `folder` must be a string, a path or `None`. "
                f"Received: folder={folder!r}"
            )
        yield os.fspath(folder)
        return
    place = tempfile.mkdtemp(prefix="netopt-compress-")
    try:
        yield place
    except BaseException as error:
        if any(name.endswith(".h5") for name in os.listdir(place)):
            error.add_note(
                "What was trained until then is kept: pass "
                f"folder={place!r} to go on, or delete that folder."
            )
        else:
            shutil.rmtree(place, ignore_errors=True)
        raise
    shutil.rmtree(place, ignore_errors=True)


def _deliver(source: str, path: str) -> None:
    """Copies a file so that `path` never holds half of it."""
    with name_unreadable(source, "a LiteRT file", REMEDY):
        content = Path(source).read_bytes()
    with write_aside(path) as partial:
        Path(partial).write_bytes(content)
