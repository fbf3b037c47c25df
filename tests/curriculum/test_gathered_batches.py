"""Batches that TensorFlow gathers itself; not collected on other backends."""

import keras
import numpy as np
import pytest

from keras_netopt.curriculum import CurriculumData, make_plan
from keras_netopt.curriculum.sample_source import ArraySource

N, BATCH = 64, 8
X = np.arange(1.0, N + 1, dtype="float32")[:, None]
Y = np.zeros((N, 1), "float32")
NAMES = {"a": X, "b": np.arange(N, dtype="uint8")}
GATHERED = {
    "plain": ((X, Y), {}),
    "float64": ((X.astype("float64"), Y), {}),
    "named inputs": ((NAMES, Y), {}),
    "sample weights": ((X, Y, X[:, 0] / N), {}),
    "classes": (
        (X, NAMES["b"] % 3),
        {"class_weight": {0: 2.0, 1: 0.5}},
    ),
    "irreducible loss": ((X, Y), {"irreducible_loss": X[:, 0] * 2}),
    "steps": ((X, Y), {"steps_per_epoch": 11}),
}


class Counting(ArraySource):
    """Counts the batches that Python reads."""

    reads = 0

    def fetch(self, ids):
        self.reads += 1
        return super().fetch(ids)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("planned", [False, True])
@pytest.mark.parametrize("case", GATHERED)
def test_tensorflow_gather_equals_reading_in_python(case, planned, weighted):
    arrays, options = GATHERED[case]
    data = CurriculumData(Counting(*arrays), plans_weights=weighted)
    adapter = data.make_adapter(BATCH, **options)
    if planned:
        fractions = np.linspace(0.3, 1.0, data.steps)
        data.set_plan(make_plan(X[:, 0], fractions, batch_size=BATCH, epoch=3))
    found = list(adapter.get_tf_dataset().as_numpy_iterator())
    assert data.source.reads == 0
    wanted = list(adapter)
    assert len(found) == len(wanted) == data.steps
    for one, other in zip(found, wanted, strict=True):
        keras.tree.assert_same_structure(one, other)
        for a, b in zip(
            keras.tree.flatten(one), keras.tree.flatten(other), strict=True
        ):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("arrays", "by_token"),
    [
        ((np.array(["a", "b"] * (N // 2)), Y), None),
        ((X, np.zeros((N, 5), "int32")), True),
        ((X,), None),
    ],
    ids=["words", "tokens", "no targets"],
)
def test_other_data_are_read_in_python(arrays, by_token):
    data = CurriculumData(Counting(*arrays))
    adapter = data.make_adapter(BATCH, token_weights=by_token)
    assert len(list(adapter.get_tf_dataset())) == data.steps
    assert data.source.reads >= data.steps
