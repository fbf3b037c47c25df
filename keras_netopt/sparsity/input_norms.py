"""Norms of the inputs of each weight, from captured layer inputs."""

from typing import Any

import keras
import numpy as np

from keras_netopt.sparsity.kernel_view import (
    CONVOLUTIONS,
    TRANSPOSED,
    KernelView,
    split_equation,
)


def square_sums(
    layer: keras.Layer, view: KernelView, inputs: np.ndarray
) -> np.ndarray:
    """Sums the squares of the inputs that each row of a kernel multiplies.

    The result has the shape `(fan_in, 1)` if all output units have the same
    inputs. For grouped convolutions and einsums with a shared axis it has the
    shape `(fan_in, fan_out)`.

    Args:
        layer: A Dense, EinsumDense or convolution, also transposed.
        view: The view of its kernel.
        inputs: Input of one call of the layer.
    """
    squares = np.square(inputs.astype(np.float64))
    if isinstance(layer, keras.layers.EinsumDense):
        return _einsum(layer.equation, view, squares)
    if isinstance(layer, TRANSPOSED):
        # Every input counts for every position of the window, also those
        # that the padding cuts off.
        window = view.fan_in // view.run
        totals = _channels_last(layer, squares).reshape(-1, view.run).sum(0)
        return np.tile(totals, window)[:, None]
    if isinstance(layer, CONVOLUTIONS):
        return _convolution(layer, view, _channels_last(layer, squares))
    return squares.reshape(-1, view.run).sum(axis=0)[:, None]


def _einsum(equation: str, view: KernelView, squares: np.ndarray) -> np.ndarray:
    letters, kernel, _ = split_equation(equation)
    if "..." in equation.split(",")[0]:
        at_end = equation.split(",")[0].endswith("...")
        extra = tuple(range(squares.ndim - len(letters)))
        axes = tuple(-1 - i for i in extra) if at_end else extra
        squares = squares.sum(axis=axes)
    unseen = tuple(i for i, c in enumerate(letters) if c not in kernel)
    totals = squares.sum(axis=unseen)
    seen = [c for c in letters if c in kernel]
    order = sorted(range(len(seen)), key=lambda i: kernel.index(seen[i]))
    totals = totals.transpose(order)
    lengths = [
        size if letter in seen else 1
        for letter, size in zip(kernel, view.shape, strict=True)
    ]
    totals = totals.reshape(lengths)
    if totals.size == view.fan_in and all(
        lengths[i] == 1 for i in view.columns
    ):
        return totals.reshape(view.fan_in, 1)
    return view.to_2d(np.broadcast_to(totals, view.shape))


def _channels_last(layer: Any, squares: np.ndarray) -> np.ndarray:
    if layer.data_format == "channels_last":
        return squares
    return np.moveaxis(squares, 1, -1)


def _convolution(
    layer: Any, view: KernelView, squares: np.ndarray
) -> np.ndarray:
    """Sums over the positions at which each part of the window is applied."""
    totals = _padded(layer, squares.sum(axis=0))
    windows = []
    for offset in np.ndindex(*layer.kernel_size):
        places = tuple(
            slice(
                start * dilation,
                size - (length - 1 - start) * dilation,
                stride,
            )
            for start, dilation, size, length, stride in zip(
                offset,
                layer.dilation_rate,
                totals.shape,
                layer.kernel_size,
                layer.strides,
                strict=False,
            )
        )
        windows.append(totals[places].reshape(-1, totals.shape[-1]).sum(0))
    return _by_group(np.stack(windows), layer.groups, view)


def _padded(layer: Any, totals: np.ndarray) -> np.ndarray:
    if layer.padding == "valid":
        return totals
    pads = []
    for size, length, dilation, stride in zip(
        totals.shape,
        layer.kernel_size,
        layer.dilation_rate,
        layer.strides,
        strict=False,
    ):
        reach = (length - 1) * dilation
        if layer.padding == "causal":
            pads.append((reach, 0))
            continue
        steps = -(-size // stride)
        total = max(0, (steps - 1) * stride + reach + 1 - size)
        pads.append((total // 2, total - total // 2))
    return np.pad(totals, [*pads, (0, 0)])


def _by_group(windows: np.ndarray, groups: int, view: KernelView) -> np.ndarray:
    """Gives each output unit the channels of its own group."""
    if groups == 1:
        return windows.reshape(view.fan_in, 1)
    parts = windows.reshape(len(windows), groups, view.run)
    columns = parts.transpose(0, 2, 1).reshape(view.fan_in, groups)
    return np.repeat(columns, view.fan_out // groups, axis=1)
