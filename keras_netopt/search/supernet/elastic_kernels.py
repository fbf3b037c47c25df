"""Kernels of several sizes from one; functions of `keras.ops`."""

from collections.abc import Mapping, Sequence
from typing import Any

from keras import ops


def center_crop(kernel: Any, size: int) -> Any:
    """Returns the central `size` x `size` positions of a square kernel.

    The kernel has the shape `(height, width, in, out)`; both sizes are odd.
    """
    begin = (kernel.shape[0] - size) // 2
    return kernel[begin : begin + size, begin : begin + size]


def transform_kernel(kernel: Any, matrix: Any) -> Any:
    """Mixes the positions of a kernel by a matrix, equally for all channels.

    A kernel of size s has a matrix of shape `(s * s, s * s)`; row i holds the
    weights of the old positions in the new position i.
    """
    positions = ops.reshape(kernel, (matrix.shape[0], -1))
    return ops.reshape(ops.matmul(matrix, positions), kernel.shape)


def derive_kernels(
    kernel: Any, sizes: Sequence[int], matrices: Mapping[int, Any]
) -> list[Any]:
    """Returns a kernel of each size, derived from the largest.

    Each is the transformed center of the next larger one: 5 x 5 from 7 x 7,
    then 3 x 3 from that 5 x 5.

    Args:
        kernel: The kernel of the largest size.
        sizes: Odd sizes in ascending order.
        matrices: By size, the matrix of `transform_kernel`.

    Returns:
        The kernels in the order of `sizes`.
    """
    kernels = [kernel]
    for size in reversed(sizes[:-1]):
        kernel = transform_kernel(center_crop(kernel, size), matrices[size])
        kernels.append(kernel)
    return kernels[::-1]


def select_kernel(kernels: Sequence[Any], index: Any) -> Any:
    """Returns one of several kernels in the shape of the last, the largest.

    Zeros are added around a smaller kernel, which leaves the result of a
    convolution with padding "same" unchanged. The gradients of all other
    kernels are 0.
    """
    largest = kernels[-1].shape[0]
    total = None
    for k, kernel in enumerate(kernels):
        pad = (largest - kernel.shape[0]) // 2
        chosen = ops.cast(ops.equal(index, k), kernel.dtype)
        padded = ops.pad(kernel, [(pad, pad), (pad, pad), (0, 0), (0, 0)])
        total = padded * chosen if total is None else total + padded * chosen
    return total
