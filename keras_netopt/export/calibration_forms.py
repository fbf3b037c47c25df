"""Reads calibration data in each form that users have."""

import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.export.model_inputs import ModelInputs, fits

Found = tuple[str, list[np.ndarray]]
Choose = Callable[[int], Iterable[int]]
FORMS = (
    "Pass arrays, a dict by these names, `(x, y)`, an iterable of batches, or "
    "a function without arguments that returns one."
)


def read_batches(
    inputs: ModelInputs, data: Any, *, choose: Choose
) -> Iterator[list[np.ndarray]]:
    """Yields batches, with one array per flat input, in their order.

    `data` is a batch of all samples or an iterable of batches or samples,
    such as a `tf.data.Dataset`, a `PyDataset`, a `DataLoader`, or a function
    that returns one. A batch is an array, a list of arrays in the order of
    the inputs, a dict by their names, or a tuple `(x,)`, `(x, y)`,
    `(x, y, sample_weight)` of which `x` is used. Batches may have different
    lengths. `choose` gets the number of items of data that can be indexed and
    returns the indices of those to read; of other data all are read.

    Raises:
        ValueError: If the data fit no form, or more than one.
    """
    if _is_function(data):
        data = _call(data)
    if isinstance(data, (list, tuple, Mapping)) and not data:
        raise _empty(data)
    if _is_whole(data):
        whole = _read(inputs, data, pairs=tuple, kinds=("batch",))
        if whole is not None:
            yield whole[1]
            return
        if not _is_list_of_batches(inputs, data):
            raise _mismatch(inputs, data)
    is_empty = True
    for item in _iterate(data, choose):
        found = _read(inputs, item)
        if found is None:
            raise _mismatch(inputs, item)
        kind, arrays = found
        if kind == "sample":
            arrays = [array[None] for array in arrays]
        is_empty = False
        yield arrays
    if is_empty:
        raise _empty(data)


def _empty(data: Any) -> ValueError:
    used = (
        ", or was iterated over before: pass a function that returns it anew"
        if isinstance(data, Iterator)
        else ""
    )
    return ValueError(
        "Argument `calibration_data` must hold samples. "
        f"Received: calibration_data={data!r}, which is empty{used}"
    )


def _read(
    inputs: ModelInputs,
    item: Any,
    *,
    # torch's `DataLoader` yields lists [x, y].
    pairs: Any = (list, tuple),
    kinds: tuple[str, ...] = ("batch", "sample"),
) -> Found | None:
    """Returns the one way to read a batch, `None` if there is none."""
    found = list(_readings(inputs, item))
    if isinstance(item, pairs) and 1 <= len(item) <= 3:
        found += _readings(inputs, item[0])
    for kind in kinds:
        same_kind = [arrays for k, arrays in found if k == kind]
        if any(_differ(same_kind[0], other) for other in same_kind[1:]):
            raise ValueError(
                "Argument `calibration_data` must say which array is for "
                f"which of the inputs {list(inputs.input_names)}. "
                f"Received: {_describe(item)}, which can be read in several "
                "ways. Give the inputs of the model the names of its keys."
            )
        if same_kind:
            return kind, same_kind[0]
    return None


def _readings(inputs: ModelInputs, item: Any) -> Iterator[Found]:
    for values in inputs.find_values(item):
        arrays = _to_arrays(values)
        kind = None if arrays is None else inputs.find_kind(arrays)
        if arrays is not None and kind is not None:
            yield kind, arrays


def _differ(one: list[np.ndarray], two: list[np.ndarray]) -> bool:
    return not all(map(np.array_equal, one, two))


def _to_arrays(values: Sequence[Any]) -> list[np.ndarray] | None:
    """Returns numeric arrays, or `None` if the values are none."""
    arrays = []
    for value in values:
        try:
            if keras.ops.is_tensor(value):
                value = keras.ops.convert_to_numpy(value)
            elif hasattr(value, "detach"):
                value = value.detach().cpu().numpy()
            array = np.asarray(value)
        # Lists of unequal length, and what others' arrays raise.
        except (TypeError, ValueError, RuntimeError):
            return None
        if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
            return None
        arrays.append(array)
    return arrays


def _is_whole(data: Any) -> bool:
    return hasattr(data, "shape") or isinstance(data, (list, tuple, Mapping))


def _is_list_of_batches(inputs: ModelInputs, data: Any) -> bool:
    if not isinstance(data, list) or not data:
        return False
    if any(_read(inputs, item) is None for item in data):
        return False
    shapes = [getattr(item, "shape", None) for item in data]
    if len(data) in (2, 3) and None not in shapes and len(set(shapes)) == 1:
        raise ValueError(
            "Argument `calibration_data` must be one array for a model with "
            f"the one input {inputs.input_names[0]!r}. Received: a list of "
            f"{len(data)} arrays of equal shape, which may be batches or "
            "inputs and targets. Pass `np.concatenate(batches)`, or the "
            "tuple `(x, y)`."
        )
    return True


def _is_function(data: Any) -> bool:
    is_data = _is_whole(data) or hasattr(data, "__iter__")
    return (
        callable(data)
        and not is_data
        and not isinstance(data, keras.utils.PyDataset)
    )


def _call(function: Callable[[], Any]) -> Any:
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise ValueError(
            "Argument `calibration_data` must be data or a function without "
            f"arguments. Received: calibration_data={function!r} ({error})"
        ) from error
    return function()


def _iterate(data: Any, choose: Choose) -> Iterator[Any]:
    if isinstance(data, keras.utils.PyDataset):
        count = data.num_batches
        rows = itertools.count() if count is None else choose(count)
        return (data[int(k)] for k in rows)
    if isinstance(data, list):
        return (data[int(k)] for k in choose(len(data)))
    if isinstance(data, (str, bytes)):
        data = [data]
    if hasattr(data, "__iter__"):
        return iter(data)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return (data[int(k)] for k in choose(len(data)))
    raise ValueError(
        "Argument `calibration_data` must be data. Received: "
        f"calibration_data={data!r}. {FORMS}"
    )


def _mismatch(inputs: ModelInputs, item: Any) -> ValueError:
    """Says why nothing of a batch fits the inputs of the model."""
    names = list(inputs.input_names)
    x = item[0] if _is_pair(inputs, item) else item
    if isinstance(x, Mapping) and not list(inputs.find_values(x)):
        return ValueError(
            "Argument `calibration_data` must hold one array for each of "
            f"the inputs {names}. Received: keys {list(x)}"
        )
    if isinstance(x, (list, tuple)) and inputs.is_unordered:
        return ValueError(
            f"Argument `calibration_data` must be a dict by the inputs {names}"
            ": the model takes a dict, whose order does not say which array "
            f"is for which input. Received: {_describe(x)}"
        )
    for values in inputs.find_values(x):
        arrays = _to_arrays(values) or []
        shapes = [(None, *shape[1:]) for shape in inputs.shapes]
        for name, array, shape in zip(names, arrays, shapes, strict=False):
            if not fits(array.shape, shape):
                return ValueError(
                    f"Argument `calibration_data` must have shape {shape} "
                    f"for input {name!r}. Received: shape {array.shape}"
                )
    return ValueError(
        f"Argument `calibration_data` must hold {len(names)} inputs: {names}. "
        f"Received: {_describe(item)}. {FORMS}"
    )


def _is_pair(inputs: ModelInputs, item: Any) -> bool:
    if not isinstance(item, tuple) or not 2 <= len(item) <= 3:
        return False
    return len(inputs.names) == 1 or isinstance(item[0], (list, tuple, Mapping))


def _describe(item: Any) -> str:
    if isinstance(item, Mapping):
        return f"a dict with the keys {list(item)}"
    if isinstance(item, (list, tuple)):
        shapes = [getattr(part, "shape", type(part).__name__) for part in item]
        text = ", ".join(map(str, shapes[:4]))
        more = ", ..." if len(item) > 4 else ""
        return f"a {type(item).__name__} of {len(item)}: {text}{more}"
    return f"{type(item).__name__} {getattr(item, 'shape', '')}".strip()
