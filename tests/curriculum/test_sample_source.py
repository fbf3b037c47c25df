"""Random access to every kind of data that `fit` accepts."""

import keras
import numpy as np
import pytest

from keras_netopt.curriculum.dataset_adapters import as_sample_source

X = np.arange(12.0).reshape(6, 2)
Y = np.arange(6)
IDS = np.array([4, 0, 4])


def sources():
    found = {
        "arrays": lambda: as_sample_source(X, Y),
        "tensors": lambda: as_sample_source(
            keras.ops.convert_to_tensor(X, "float32"),
            keras.ops.convert_to_tensor(Y),
        ),
        "lists": lambda: as_sample_source(X.tolist(), Y.tolist()),
        "tf.data": lambda: as_sample_source(_dataset()),
        "torch": lambda: as_sample_source(_torch()),
        "DataLoader": lambda: as_sample_source(_loader()),
    }
    return found


def _dataset():
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((X, Y))


def _torch():
    torch = pytest.importorskip("torch")
    return torch.utils.data.TensorDataset(
        torch.from_numpy(X), torch.from_numpy(Y)
    )


def _loader():
    torch = pytest.importorskip("torch")
    return torch.utils.data.DataLoader(_torch(), batch_size=3, shuffle=True)


@pytest.mark.parametrize("name", sources())
def test_samples_are_fetched_by_id(name):
    source = sources()[name]()
    x, y, weight = source.fetch(IDS)

    assert (source.samples, source.unit) == (6, "sample")
    np.testing.assert_array_equal(x, X[IDS])
    np.testing.assert_array_equal(y, IDS)
    assert weight is None
    assert x.dtype == "float32"
    assert isinstance(x, np.ndarray)


def test_nested_inputs_keep_their_structure():
    source = as_sample_source({"a": X, "b": [Y, -Y]}, (Y, X), np.arange(6.0))
    x, y, weight = source.fetch(IDS)

    assert list(x) == ["a", "b"]
    np.testing.assert_array_equal(x["b"][1], -IDS)
    np.testing.assert_array_equal(y[1], X[IDS])
    np.testing.assert_array_equal(weight, IDS)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, i):
        return X[2 * i : 2 * i + 2], Y[2 * i : 2 * i + 2], np.ones(2)


def test_a_pydataset_has_batches_as_units():
    source = as_sample_source(Batches())
    x, y, weight = source.fetch(np.array([2]))

    assert (source.samples, source.unit) == (3, "batch")
    np.testing.assert_array_equal(y, [4, 5])
    assert weight.tolist() == [1, 1]


def test_a_data_set_of_unknown_size_needs_num_samples():
    data = _dataset().filter(lambda x, y: y < 4)
    with pytest.raises(ValueError, match="pass `num_samples=`.*unknown"):
        as_sample_source(data)
    with pytest.raises(ValueError, match="at most the 4 samples"):
        as_sample_source(data, num_samples=5)
    assert as_sample_source(data, num_samples=4).samples == 4
    with pytest.raises(ValueError, match="infinite cardinality"):
        as_sample_source(_dataset().repeat())


def test_a_shuffled_data_set_raises():
    with pytest.raises(ValueError, match="remove `shuffle`"):
        as_sample_source(_dataset().shuffle(6))


def test_a_batched_data_set_raises():
    with pytest.raises(ValueError, match=r"pass `x.unbatch\(\)`"):
        as_sample_source(_dataset().batch(2))


def test_data_without_random_access_raise():
    with pytest.raises(TypeError, match="without random access.*generator"):
        as_sample_source(row for row in X)
    torch = pytest.importorskip("torch")

    class Iterable(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(X)

    with pytest.raises(TypeError, match="`__getitem__`.*Received: x=Iterable"):
        as_sample_source(Iterable())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((X, Y[:5]), r"`y` must hold arrays of the same"),
        ((X, Y, np.ones(7)), r"`sample_weight` must hold arrays of the same"),
        ((X[:0], Y[:0]), "`x` must hold at least one sample"),
        ((X, np.float32(1)), "`y` must have a first axis"),
        ((X, Y, -np.ones(6)), "`sample_weight` must be finite and at least 0"),
        ((Batches(), Y), "`y` must not be given with a PyDataset"),
        ((Batches(), None, Y), "`sample_weight` must not be given with"),
        ((X, Y, None, 6), "`num_samples` must be given with a tf.data.Dataset"),
    ],
)
def test_arguments_that_do_not_match_raise(arguments, text):
    with pytest.raises(ValueError, match=rf"Argument {text}.*Received: "):
        as_sample_source(*arguments)
