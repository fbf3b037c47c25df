"""Writes a page that runs a LiteRT file in the browser."""

import base64
import json
import os
import shutil
from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np

from keras_netopt.checks import check_bool
from keras_netopt.cost.tflite_model import TensorInfo, TfliteModel
from keras_netopt.export.file_feeds import (
    encode_input,
    match_names,
    run_batches,
)
from keras_netopt.export.file_report import read_file
from keras_netopt.export.runtime_target import TARGETS
from keras_netopt.files import write_folder_aside

PAGE = ("index.html", "run_file.js")
MODEL, SAMPLES = "model.tflite", "samples.json"
MOST = 200  # Samples that a page shows.


def write_web_page(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    x: Any,
    *,
    y: Any = None,
    class_names: Sequence[str] | None = None,
    overwrite: bool = False,
) -> str:
    """Writes a page that runs a LiteRT file on samples in the browser.

    The page loads the file with LiteRT.js, shows what it computes for each
    sample and how far that is from the outputs of the Python interpreter, and
    times calls. It needs no build step. Install LiteRT.js in the folder with
    `npm install @litertjs/core@2.5.3`, serve it with
    `python -m http.server --directory FOLDER` and open the address that this
    prints.

    Example:

    >>> import numpy as np
    >>> from keras_netopt import export
    >>> export.write_web_page("model.tflite", "page", np.zeros((4, 28, 28, 1)))
    Traceback (most recent call last):
        ...
    FileNotFoundError: [Errno 2] No such file or directory: 'model.tflite'

    Args:
        path: A file of `to_litert(target="web")` with a batch of 1.
        folder: The folder to write, created if missing; its parent must
            exist. It gets `index.html`, `run_file.js`, `model.tflite` and
            `samples.json`.
        x: Inputs, at most 200 samples: an array of shape `(samples, ...)`, or
            a dict of arrays by the names of the inputs. Integers of the dtype
            of a quantized input are passed as they are, all other numbers are
            quantized. Images of 1 or 3 channels are shown.
        y: Class numbers from 0, of shape `(samples,)`. Defaults to `None`:
            the page does not say which classes are right.
        class_names: The names of the classes. Defaults to `None`: numbers.
        overwrite: Whether a page in the folder may be replaced. Defaults to
            `False`.

    Returns:
        The path of the page.

    Raises:
        ExportError: If LiteRT.js does not take the file.
        ValueError: If `x`, `y` or `class_names` do not fit the file.
        TypeError: If an argument has the wrong type.
        OSError: If a file cannot be read or written; FileExistsError if the
            folder holds a page and `overwrite` is `False`.
        ImportError: If no LiteRT interpreter is installed.
    """
    check_bool(overwrite, "overwrite")
    folder = _check_folder(folder, overwrite)
    read_file(path)
    TARGETS["web"].check_file(os.fspath(path))
    lite = TfliteModel(path)
    content, outputs = _run(lite, x)
    content |= _describe_classes(outputs, lite, y, class_names)
    content["file"] = os.path.basename(os.fspath(path))
    content["bytes"] = os.path.getsize(path)
    with write_folder_aside(folder, PAGE[0]) as scratch:
        templates = resources.files("keras_netopt.export") / "page"
        for name in PAGE:
            text = (templates / name).read_text("utf-8")
            _write(scratch, name, text)
        _write(scratch, SAMPLES, json.dumps(content))
        shutil.copyfile(path, os.path.join(scratch, MODEL))
    return os.path.join(folder, PAGE[0])


def _check_folder(folder: Any, overwrite: bool) -> str:
    if not isinstance(folder, (str, os.PathLike)):
        raise TypeError(
            "Argument `folder` must be a string or a path. "
            f"Received: folder={folder!r}"
        )
    folder = os.fspath(folder)
    parent = os.path.dirname(os.path.abspath(folder))
    if not os.path.isdir(parent):
        raise FileNotFoundError(
            "Argument `folder` must be in a folder that exists. "
            f"Received: folder={folder!r}. Create {parent!r} first"
        )
    if not overwrite and os.path.exists(os.path.join(folder, PAGE[0])):
        raise FileExistsError(
            "Argument `folder` must be a folder without a page unless "
            f"`overwrite=True`. Received: folder={folder!r}, which holds "
            f"{PAGE[0]}"
        )
    return folder


def _run(
    lite: TfliteModel, x: Any
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Returns the samples of the page, and the outputs of the interpreter."""
    batch = next(iter(lite.inputs.values())).shape[0]
    if batch != 1:
        raise ValueError(
            "Argument `path` must be a file with a batch of 1. "
            f"Received: a file with a batch of {batch}"
        )
    given = match_names(x, list(lite.inputs), "x")
    feeds = {n: encode_input(lite.inputs[n], a) for n, a in given.items()}
    counts = {len(array) for array in feeds.values()}
    if len(counts) != 1 or not 1 <= min(counts) <= MOST:
        raise ValueError(
            f"Argument `x` must hold 1 to {MOST} samples, as many for each "
            f"input. Received: {sorted(counts)} samples"
        )
    rows = [outputs for _, outputs in run_batches(lite, feeds, 1)]
    outputs = {n: np.concatenate([r[n] for r in rows]) for n in lite.outputs}
    images = [
        n
        for n, a in feeds.items()
        if a.ndim == 4 and a.shape[-1] in (1, 3) and min(a.shape[1:3]) > 1
    ]
    content = {
        "count": min(counts),
        "inputs": {n: pack_array(array) for n, array in feeds.items()},
        "outputs": {
            n: pack_array(info.encode(outputs[n]))
            for n, info in lite.outputs.items()
        },
        "image": images[0] if images else None,
        "first": next(iter(outputs)),
    }
    return content, outputs


def _describe_classes(
    outputs: dict[str, np.ndarray],
    lite: TfliteModel,
    y: Any,
    class_names: Sequence[str] | None,
) -> dict[str, Any]:
    """Returns the output that holds classes, labels and names."""
    scored = [
        (name, info)
        for name, info in lite.outputs.items()
        if outputs[name].ndim == 2 and outputs[name].shape[1] > 1
    ]
    if not scored:
        for name, value in (("y", y), ("class_names", class_names)):
            if value is not None:
                raise ValueError(
                    f"Argument `{name}` must be None for a file without an "
                    f"output of shape (1, classes). Received: {name}={value!r}"
                )
        return {"classes": None, "labels": None, "class_names": None}
    name, info = scored[0]
    samples, count = outputs[name].shape
    labels = None if y is None else _check_labels(y, samples, count)
    if class_names is not None and len(class_names) != count:
        raise ValueError(
            f"Argument `class_names` must hold {count} names for output "
            f"{name!r}. Received: {len(class_names)} names"
        )
    return {
        "classes": {
            "output": name,
            "scale": info.scale or 1.0,
            "zero_point": info.zero_point,
            "probabilities": _are_probabilities(outputs[name], info),
        },
        "labels": labels,
        "class_names": None if class_names is None else list(class_names),
    }


def _check_labels(y: Any, samples: int, classes: int) -> list[int]:
    labels = np.asarray(y)
    if (
        labels.shape != (samples,)
        or labels.dtype.kind not in "iu"
        or labels.min() < 0
        or labels.max() >= classes
    ):
        raise ValueError(
            f"Argument `y` must hold {samples} class numbers from 0 to "
            f"{classes - 1}. Received: {labels.dtype} of shape {labels.shape}"
        )
    return [int(label) for label in labels]


def _are_probabilities(values: np.ndarray, info: TensorInfo) -> bool:
    slack = 0.01 + info.scale * values.shape[1]
    sums = values.astype("float64").sum(1)
    return bool(values.min() >= 0 and np.abs(sums - 1).max() <= slack)


def pack_array(array: np.ndarray) -> dict[str, Any]:
    """Returns an array in JSON, as `run_file.js` decodes it."""
    data = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
    return {
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "data": base64.b64encode(data.tobytes()).decode(),
    }


def _write(folder: str, name: str, text: str) -> None:
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
