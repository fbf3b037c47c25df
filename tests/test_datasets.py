import hashlib
from importlib import resources

import numpy as np
import pytest

from keras_netopt import datasets

# The first half of SHA-256 over each array's bytes.
CHECKSUMS = {
    "x_train": "61ad54fa5905b984bd8ea033861f9fef",
    "y_train": "4993068d309eb80739e05b23408ec496",
    "x_test": "3b9dc78fc4c7fc1e5f900d5c24840b1b",
    "y_test": "47d850c0aa0a5c0a9343030ec9695114",
}


@pytest.fixture(scope="module")
def sample():
    (x_train, y_train), (x_test, y_test) = datasets.fashion_mnist_sample()
    return {
        "x_train": x_train,
        "y_train": y_train,
        "x_test": x_test,
        "y_test": y_test,
    }


@pytest.mark.parametrize("name", CHECKSUMS)
def test_sample_is_the_published_one(sample, name):
    digest = hashlib.sha256(sample[name].tobytes()).hexdigest()
    assert digest[:32] == CHECKSUMS[name]


def test_sample_has_the_structure_of_keras_datasets(sample):
    shapes = {name: array.shape for name, array in sample.items()}
    assert shapes == {
        "x_train": (6000, 28, 28),
        "y_train": (6000,),
        "x_test": (1000, 28, 28),
        "y_test": (1000,),
    }
    assert {array.dtype for array in sample.values()} == {np.dtype("uint8")}
    assert (sample["x_train"].min(), sample["x_train"].max()) == (0, 255)


def test_sample_is_balanced(sample):
    assert np.bincount(sample["y_train"]).tolist() == [600] * 10
    assert np.bincount(sample["y_test"]).tolist() == [100] * 10
    assert len(datasets.FASHION_CLASSES) == 10


def test_sample_is_shuffled(sample):
    assert len(set(sample["y_train"][:100].tolist())) == 10


def test_no_held_out_image_is_a_training_image(sample):
    trained = {image.tobytes() for image in sample["x_train"]}
    assert len(trained) == 6000
    assert not trained & {image.tobytes() for image in sample["x_test"]}


def test_licence_is_in_the_folder_of_the_data():
    folder = resources.files("keras_netopt") / "data"
    text = (folder / "FASHION_MNIST.txt").read_text(encoding="utf-8")
    assert "The MIT License (MIT)" in text
    assert "Zalando SE" in text
