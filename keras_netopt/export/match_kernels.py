"""Finds the kernels of a model among the weights of its file."""

from collections.abc import Iterator, Sequence

import numpy as np

from keras_netopt.cost.tflite_weights import StoredWeight
from keras_netopt.export.model_kernels import ModelKernel

FLOAT_GAP = 2e-3  # Of the largest weight: float16 and folded scales.
INTEGER_GAP = 1.0  # Integers: half for rounding, half for the factor.
SAMPLE = 64  # Rows and columns of a first comparison.


def match_kernels(
    kernels: Sequence[ModelKernel], weights: Sequence[StoredWeight]
) -> list[StoredWeight | None]:
    """Finds the weight of a file that holds each kernel.

    Kernels are found by their values, because the converter gives them other
    names: each output channel of the weight is a multiple of that of the
    kernel, up to rounding. The factor of a channel is free, because it holds
    the scale and a folded BatchNormalization.

    Args:
        kernels: Kernels of the model.
        weights: Weights of its file.

    Returns:
        The weight of each kernel; `None` where the file holds no such weight.
    """
    sizes: dict[int, list[int]] = {}
    for number, weight in enumerate(weights):
        sizes.setdefault(weight.size, []).append(number)
    pairs = [
        (gap, number, place)
        for place, kernel in enumerate(kernels)
        for number, gap in _find_candidates(
            kernel, weights, sizes.get(kernel.values.size, [])
        )
    ]
    found: list[StoredWeight | None] = [None] * len(kernels)
    taken: set[int] = set()
    # Equal kernels share a weight only if they outnumber the equal weights.
    for shared in (False, True):
        for _, number, place in sorted(pairs):
            if found[place] is None and (shared or number not in taken):
                found[place] = weights[number]
                taken.add(number)
    return found


def compare_integers(kernel: ModelKernel, weight: StoredWeight) -> bool | None:
    """Returns whether a file holds the integers of a kernel on a grid.

    Integers are compared one by one, up to one factor per channel: -1 after
    BatchNormalization with a negative gamma, 127 for a ternary kernel in 8
    bits. Channels that a gamma of zero removed are not compared.

    Args:
        kernel: The kernel.
        weight: The weight that holds it.

    Returns:
        Whether they are equal; `None` if the kernel is on no grid or the
        weight is not stored in integers.
    """
    integers = kernel.find_integers()
    if integers is None or weight.is_float:
        return None
    stored: np.ndarray = weight.by_channel().astype("int32")
    return any(
        _are_multiples(ours.astype("int32"), stored)
        for ours in _iterate_matrices(kernel, integers, stored.shape)
    )


def _are_multiples(ours: np.ndarray, stored: np.ndarray) -> bool:
    top = np.abs(ours).max(axis=1, keepdims=True)
    most = np.abs(stored).max(axis=1, keepdims=True)
    sign = np.where((ours * stored).sum(axis=1, keepdims=True) < 0, -1, 1)
    equal = ours * (most * sign) == stored * top
    return bool((equal & ((top > 0) | (most == 0))).all())


def _find_candidates(
    kernel: ModelKernel, weights: Sequence[StoredWeight], numbers: list[int]
) -> Iterator[tuple[int, float]]:
    """Yields the weights that may be the kernel, with the difference.

    `numbers` are the places of the weights of its size. Weights in a sparse
    format cannot be compared and come last.
    """
    orders: dict[tuple[int, ...], list[np.ndarray]] = {}
    for number in numbers:
        weight = weights[number]
        if weight.values is None:
            yield number, np.inf
            continue
        stored = weight.by_channel()
        if stored.shape not in orders:
            matrices = _iterate_matrices(kernel, kernel.values, stored.shape)
            orders[stored.shape] = list(matrices)
        limit = FLOAT_GAP
        if not weight.is_float:
            limit = INTEGER_GAP / max(np.abs(stored.astype("int32")).max(), 1)
        for ours in orders[stored.shape]:
            part = np.s_[:SAMPLE, :SAMPLE]
            # Part of a channel determines its factor less well.
            if _find_gap(ours[part], stored[part]) > 2 * limit:
                continue
            if (gap := _find_gap(ours, stored)) <= limit:
                yield number, gap


def _find_gap(ours: np.ndarray, stored: np.ndarray) -> float:
    stored = stored.astype("float32")
    top = np.abs(stored).max(initial=0.0)
    if not top:
        return 0.0
    norm = (ours * ours).sum(axis=1, keepdims=True)
    product = (ours * stored).sum(axis=1, keepdims=True)
    factor = product / np.where(norm > 0, norm, 1.0)
    return float(np.abs(stored - factor * ours).max() / top)


def _iterate_matrices(
    kernel: ModelKernel, values: np.ndarray, shape: tuple[int, ...]
) -> Iterator[np.ndarray]:
    """Yields values of a kernel with one row per channel, in each order."""
    for order, count in kernel.iterate_orders():
        moved = np.transpose(values, order)
        rows = int(np.prod(moved.shape[:count], dtype="int64"))
        if rows == shape[0]:
            yield moved.reshape(shape)
