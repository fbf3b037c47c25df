"""Brings samples into the form that the inputs of a LiteRT file take."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from keras_netopt.cost.tflite_model import TensorInfo, TfliteModel
from keras_netopt.export.model_inputs import fits, make_valid_names


def match_names(
    value: Any, names: list[str], argument: str
) -> dict[str, np.ndarray]:
    """Returns arrays by the names of a file's inputs or outputs.

    `value` is an array where there is one name, or a dict by these names, or
    by the names in the model from which the export made them.
    """
    what = "inputs" if argument == "x" else "outputs"
    if isinstance(value, Mapping):
        valid = make_valid_names(map(str, value))
        for keys in (tuple(value), valid):
            if set(keys) == set(names):
                return dict(
                    zip(keys, map(np.asarray, value.values()), strict=True)
                )
        raise ValueError(
            f"Argument `{argument}` must hold one array for each of the {what} "
            f"{names}. Received: keys {list(value)}"
        )
    if len(names) == 1:
        return {names[0]: np.asarray(value)}
    raise ValueError(
        f"Argument `{argument}` must be a dict by the {what} {names}. "
        f"Received: {argument} of type {type(value).__name__}"
    )


def match_labels(value: Any, names: list[str]) -> dict[str, np.ndarray]:
    """Returns the labels of each output that has some.

    A list is read in the order of "output_0", "output_1" and so on.
    """
    if value is None:
        raise ValueError(
            "The batches of `x` must hold labels, as in `(x, y)`. "
            "Received: batches of inputs alone"
        )
    numbered = [f"output_{k}" for k in range(len(names))]
    if isinstance(value, list | tuple) and len(names) > 1:
        if len(value) == len(names) and set(names) == set(numbered):
            value = dict(zip(numbered, value, strict=True))
    if isinstance(value, Mapping) and value and set(value) < set(names):
        names = list(value)
    found = match_names(value, names, "y")
    for name, array in found.items():
        if array.dtype.kind not in "biuf":
            problem = f"dtype {array.dtype}"
        elif array.dtype.kind == "f" and not np.isfinite(array).all():
            problem = "NaN or infinity"
        else:
            continue
        raise ValueError(
            f"Argument `y` must hold finite numbers for output {name!r}. "
            f"Received: {problem}"
        )
    return found


def encode_input(
    info: TensorInfo, array: np.ndarray, argument: str = "x"
) -> np.ndarray:
    """Converts one batch to the dtype of an input.

    Real numbers, and integers of another dtype, are quantized for a quantized
    input; integers of its own dtype are passed as they are. `argument` is the
    name in errors.

    Raises:
        ValueError: If the shape differs, or numbers are NaN, or fractions or
            out of range for an input of integers.
    """
    wanted = (None, *info.shape[1:])
    if not fits(array.shape, wanted):
        axis = (
            f" Add an axis with `{argument}[..., None]`."
            if fits((*array.shape, 1), wanted)
            else ""
        )
        raise ValueError(
            f"Argument `{argument}` must have shape {wanted} for input "
            f"{info.name!r}. Received: shape {array.shape}.{axis}"
        )
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"Argument `{argument}` must hold numbers for input {info.name!r}. "
            f"Received: dtype {array.dtype}"
        )
    if array.dtype.kind == "f" and np.isnan(array).any():
        rows = np.isnan(array.reshape(len(array), -1)).any(1)
        raise ValueError(
            f"Argument `{argument}` must be free of NaN. Received: NaN in "
            f"{int(rows.sum())} of {len(array)} samples of a batch of input "
            f"{info.name!r}"
        )
    if info.scale and array.dtype != info.dtype:
        return info.encode(array.astype("float32"))
    if np.dtype(info.dtype).kind in "iu" and array.dtype != info.dtype:
        _check_integers(info, array, argument)
    return info.encode(array.astype(info.dtype))


def _check_integers(info: TensorInfo, array: np.ndarray, argument: str) -> None:
    limits = np.iinfo(info.dtype)
    low, high = array.min(initial=0), array.max(initial=0)
    if not np.array_equal(np.floor(array), array):
        problem = "fractions"
    elif low < limits.min or high > limits.max:
        problem = f"numbers from {low} to {high}"
    else:
        return
    raise ValueError(
        f"Argument `{argument}` must hold {info.dtype} for input "
        f"{info.name!r}. Received: {problem}"
    )


def run_batches(
    lite: TfliteModel, feeds: Mapping[str, np.ndarray], batch_size: int
) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
    """Runs samples in batches of the size that the file accepts.

    Yields which samples ran, and their outputs. The last batch of a file with
    a fixed batch is filled up, and the outputs of the filling are dropped.
    """
    count = len(next(iter(feeds.values())))
    fixed = next(iter(lite.inputs.values())).shape[0]
    size = fixed or batch_size
    for start in range(0, count, size):
        rows = slice(start, min(start + size, count))
        index = np.arange(start, start + size) if fixed else np.r_[rows]
        index = np.minimum(index, count - 1)
        batch = {name: array[index] for name, array in feeds.items()}
        outputs = lite.run(batch)
        for name, output in outputs.items():
            if output.ndim == 0 or len(output) != len(index):
                raise ValueError(
                    f"Output {name!r} must have one entry per sample. "
                    f"Received: shape {output.shape} for {len(index)} samples"
                )
        yield rows, {n: o[: rows.stop - start] for n, o in outputs.items()}
