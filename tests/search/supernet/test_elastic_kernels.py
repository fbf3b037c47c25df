import numpy as np
from keras import ops

from keras_netopt.search.supernet.elastic_kernels import (
    center_crop,
    derive_kernels,
    select_kernel,
    transform_kernel,
)

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(7, 7, 2, 3)).astype("float32")


def to_numpy(tensor):
    return np.array(ops.convert_to_numpy(tensor))


def test_a_crop_keeps_the_center():
    np.testing.assert_array_equal(center_crop(KERNEL, 1), KERNEL[3:4, 3:4])
    np.testing.assert_array_equal(center_crop(KERNEL, 5), KERNEL[1:6, 1:6])


def test_a_matrix_mixes_positions_equally_for_all_channels():
    kernel = center_crop(KERNEL, 3)
    matrix = RNG.normal(size=(9, 9)).astype("float32")
    found = to_numpy(transform_kernel(ops.convert_to_tensor(kernel), matrix))

    expected = np.einsum("pq,qio->pio", matrix, kernel.reshape(9, 2, 3))
    np.testing.assert_allclose(found.reshape(9, 2, 3), expected, atol=1e-5)


def test_each_size_is_derived_from_the_next_larger_one():
    five, three = (
        RNG.normal(size=(s * s, s * s)).astype("float32") for s in (5, 3)
    )
    kernel = ops.convert_to_tensor(KERNEL)
    found = derive_kernels(kernel, (3, 5, 7), {3: three, 5: five})

    middle = np.einsum(
        "pq,qio->pio", five, KERNEL[1:6, 1:6].reshape(25, 2, 3)
    ).reshape(5, 5, 2, 3)
    small = np.einsum("pq,qio->pio", three, middle[1:4, 1:4].reshape(9, 2, 3))
    assert [k.shape[0] for k in found] == [3, 5, 7]
    np.testing.assert_array_equal(to_numpy(found[2]), KERNEL)
    np.testing.assert_allclose(to_numpy(found[1]), middle, atol=1e-4)
    np.testing.assert_allclose(
        to_numpy(found[0]).reshape(9, 2, 3), small, atol=1e-4
    )


def test_a_selected_kernel_is_exact_and_has_zeros_around_it():
    kernels = [ops.convert_to_tensor(center_crop(KERNEL, s)) for s in (1, 3, 7)]
    for index, size in enumerate((1, 3, 7)):
        found = to_numpy(select_kernel(kernels, index))
        np.testing.assert_array_equal(center_crop(found, size), kernels[index])
        assert np.count_nonzero(found) == size * size * 6
