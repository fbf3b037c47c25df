"""A data set in the package, for demos, tests and notebooks."""

from importlib import resources

import numpy as np

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
Split = tuple[np.ndarray, np.ndarray]


def fashion_mnist_sample() -> tuple[Split, Split]:
    """Loads 7,000 images of Fashion-MNIST from the package.

    A class-balanced sample with a fixed seed; the held-out images come from
    the original test set. For all 70,000 images use
    `keras.datasets.fashion_mnist.load_data()`, which returns the same
    structure. The licence of the data set (MIT) is in the same folder.

    Example:

    >>> (x_train, y_train), (x_test, y_test) = fashion_mnist_sample()
    >>> x_train.shape, x_test.shape, x_train.dtype
    ((6000, 28, 28), (1000, 28, 28), dtype('uint8'))
    >>> FASHION_CLASSES[y_train[0]]
    'Sandal'

    Returns:
        `(x_train, y_train), (x_test, y_test)`: uint8 images of shape
        `(samples, 28, 28)` in [0, 255] and uint8 labels of shape
        `(samples,)`, which index `FASHION_CLASSES`.

    Reference:
        Xiao, Rasul and Vollgraf, "Fashion-MNIST: a novel image dataset for
        benchmarking machine learning algorithms", 2017,
        https://arxiv.org/abs/1708.07747.
    """
    folder = resources.files("keras_netopt") / "data"
    with (
        (folder / "fashion_mnist_sample.npz").open("rb") as file,
        np.load(file) as arrays,
    ):
        train = arrays["x_train"], arrays["y_train"]
        test = arrays["x_test"], arrays["y_test"]
    return train, test
