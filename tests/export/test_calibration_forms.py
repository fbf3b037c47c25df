"""The forms of calibration data: matched by the inputs' names, or refused."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.export.exportable_model import prepare_model
from keras_netopt.export.input_samples import iterate_batches, make_samples

RNG = np.random.default_rng(0)
X, Y = RNG.random((8, 4), "float32"), np.arange(8)
A, B = X, 1000 * RNG.random((8, 4), "float32")


class Batches(keras.utils.PyDataset):
    def __init__(self, *batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


class Rows:
    """As torch's `Dataset`: no `__iter__`."""

    def __init__(self, *rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows[0])

    def __getitem__(self, index):
        return tuple(row[index] for row in self.rows)


class Difference(keras.Model):
    """Takes a list, a dict or two arguments."""

    def __init__(self):
        super().__init__()
        self.fc = layers.Dense(2)

    def call(self, x):
        one, two = (x["zeta"], x["alpha"]) if isinstance(x, dict) else x
        return self.fc(one) - 2 * self.fc(two)


def one_input():
    return keras.Sequential([keras.Input((4,), name="x"), layers.Dense(3)])


def two_inputs(names=("z-wide", "a-narrow"), shapes=((4,), (4,)), keys=None):
    a, b = (
        keras.Input(shape, name=name)
        for shape, name in zip(shapes, names, strict=True)
    )
    outputs = layers.Dense(3)(a) + 100 * layers.Dense(3)(b)
    inputs = [a, b] if keys is None else dict(zip(keys, [a, b], strict=True))
    return keras.Model(inputs, outputs)


def read(model, data):
    """The samples as one array per input of the file."""
    groups, _ = make_samples(prepare_model(model), data)
    return {
        name: np.concatenate([group[name] for group in groups])
        for name in groups[0]
    }


def refused(model, data):
    with pytest.raises(ValueError) as error:
        read(model, data)
    return str(error.value)


def generator(*items):
    """A function as in the guide of TensorFlow Lite."""

    def representative_dataset():
        yield from items

    return representative_dataset


def parts(*arrays):
    """The arrays in batches of 3, 3 and 2."""
    slices = (slice(0, 3), slice(3, 6), slice(6, 8))
    return [tuple(array[rows] for array in arrays) for rows in slices]


def torch_loader(*arrays):
    torch = pytest.importorskip("torch")
    tensors = map(torch.from_numpy, arrays)
    data = torch.utils.data.TensorDataset(*tensors)
    return torch.utils.data.DataLoader(data, batch_size=3)


ONE_INPUT = {
    "array": lambda: X,
    "nested lists": lambda: X.tolist(),
    "list of one array": lambda: [X],
    "dict": lambda: {"x": X},
    "(x,)": lambda: (X,),
    "(x, y)": lambda: (X, Y),
    "(x, y, sample_weight)": lambda: (X, Y, np.ones(8)),
    "(x, x)": lambda: (X, X),
    "(dict, y)": lambda: ({"x": X}, Y),
    "samples": lambda: list(X),
    "batches": lambda: [p for (p,) in parts(X)],
    "batches of (x, y)": lambda: parts(X, Y),
    "iterator": lambda: iter(parts(X, Y)),
    "generator": generator(*([row[None]] for row in X)),
    "generator of arrays": generator(*(row[None] for row in X)),
    "generator of dicts": generator(*({"x": row[None]} for row in X)),
    "generator of samples": generator(*X),
    "function that returns arrays": lambda: lambda: X,
    "PyDataset": lambda: Batches(*parts(X, Y)),
    "Dataset": lambda: Rows(X, Y),
    "DataLoader of (x, y)": lambda: torch_loader(X, Y),
    "DataLoader of x": lambda: torch_loader(X),
}


def test_forms_of_one_input():
    model, wrong = one_input(), []
    for name, make in ONE_INPUT.items():
        form = make if "generator" in name else make()
        found = read(model, form)
        if list(found) != ["x"] or not np.array_equal(found["x"], X):
            wrong.append(name)
    assert wrong == []


@pytest.mark.backend("tensorflow")
def test_forms_of_tensorflow():
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices
    named = data({"z-wide": A, "a-narrow": B})
    for form in (data(X).batch(3), data((X, Y)).batch(8), data((X, Y))):
        np.testing.assert_array_equal(read(one_input(), form)["x"], X)
    for form in (named.batch(3), named.map(lambda x: (x, 0)).batch(3), named):
        found = read(two_inputs(), form)
        np.testing.assert_array_equal(found["z_wide"], A)
        np.testing.assert_array_equal(found["a_narrow"], B)
    tensor = tf.constant(X)
    np.testing.assert_array_equal(read(one_input(), tensor)["x"], X)


TWO_INPUTS = {
    "list": lambda: [A, B],
    "(a, b)": lambda: (A, B),
    "([a, b], y)": lambda: ([A, B], Y),
    "((a, b), y)": lambda: ((A, B), Y),
    "names of the model": lambda: {"a-narrow": B, "z-wide": A},
    "names of the file": lambda: {"a_narrow": B, "z_wide": A},
    "(dict, y)": lambda: ({"a-narrow": B, "z-wide": A}, Y),
    "batches of (a, b)": lambda: parts(A, B),
    "batches of ((a, b), y)": lambda: [((a, b), 0) for a, b in parts(A, B)],
    "generator of lists": generator(*([a, b] for a, b in parts(A, B))),
    "generator of (a, b)": generator(*parts(A, B)),
    "generator of dicts": generator(
        *({"a_narrow": b, "z_wide": a} for a, b in parts(A, B))
    ),
    "generator of samples": generator(*zip(A, B, strict=True)),
    "DataLoader of (a, b)": lambda: torch_loader(A, B),
    "PyDataset": lambda: Batches(*parts(A, B)),
}


def test_forms_of_two_inputs():
    model, wrong = two_inputs(), []
    for name, make in TWO_INPUTS.items():
        found = read(model, make if "generator" in name else make())
        for key, array in (("z_wide", A), ("a_narrow", B)):
            if not np.array_equal(found[key], array):
                wrong.append((name, key))
    assert wrong == []


@pytest.mark.parametrize(
    "names",
    [("zeta", "alpha"), ("b", "a"), ("a-b", "a_b"), ("2nd", "1st"), ("Z", "a")],
)
def test_dict_goes_by_name_whatever_the_names(names):
    model = two_inputs(names)
    for keys in (names, prepare_model(model).names):
        for data in ({keys[0]: A, keys[1]: B}, {keys[1]: B, keys[0]: A}):
            first, second = read(model, data).values()
            np.testing.assert_array_equal(first, A)
            np.testing.assert_array_equal(second, B)


def subclassed(inputs):
    model = Difference()
    model(inputs)
    return model


def test_models_that_take_a_dict_take_no_list():
    ones = np.ones((2, 4), "float32")
    models = (
        subclassed({"zeta": ones, "alpha": ones}),
        two_inputs(("zeta", "alpha"), keys=("zeta", "alpha")),
    )
    for model in models:
        for data in ({"zeta": A, "alpha": B}, [{"alpha": B, "zeta": A}]):
            found = read(model, data)
            np.testing.assert_array_equal(found["zeta"], A)
            np.testing.assert_array_equal(found["alpha"], B)
        for data in ([A, B], (A, B), parts(A, B), generator(*parts(A, B))):
            text = refused(model, data)
            assert "must be a dict by the inputs ['alpha', 'zeta']" in text


def test_subclassed_list_has_the_names_of_the_file():
    model = subclassed([X, X])
    for data in ([A, B], {"inputs_1": B, "inputs": A}):
        found = read(model, data)
        np.testing.assert_array_equal(found["inputs"], A)
        np.testing.assert_array_equal(found["inputs_1"], B)
    assert "Received: keys ['inputs']" in refused(model, {"inputs": A})


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
def test_keys_against_names_are_refused():
    model = two_inputs(("b", "a"), keys=("a", "b"))
    assert "can be read in several ways" in refused(model, {"a": A, "b": B})
    model = two_inputs(("p", "q"), keys=("one", "two"))
    for data in ({"one": A, "two": B}, {"p": A, "q": B}):
        np.testing.assert_array_equal(read(model, data)["p"], A)


WRONG = [
    (
        one_input,
        np.ones((5, 3)),
        "must have shape (None, 4) for input 'x'. Received: shape (5, 3)",
    ),
    (
        one_input,
        np.ones((0, 4)),
        "must hold equally many samples for each input, at least one. "
        "Received: shapes [(0, 4)]",
    ),
    (one_input, X[0], "must have shape (None, 4) for input 'x'."),
    (
        one_input,
        {"a": X, "b": X},
        "must hold one array for each of the inputs ['x']. Received: keys "
        "['a', 'b']",
    ),
    (one_input, [X, X], "may be batches or inputs and targets"),
    (one_input, [X, Y], "must hold 1 inputs: ['x']. Received: a list of 2"),
    (one_input, [], "Received: calibration_data=[], which is empty"),
    (one_input, iter([]), "which is empty"),
    (one_input, "x.npy", "must hold 1 inputs"),
    (one_input, 3, "must be data. Received: calibration_data=3"),
    (one_input, lambda step: X, "a function without arguments"),
    (two_inputs, A, "must hold 2 inputs: ['z-wide', 'a-narrow']"),
    (two_inputs, (A, B, Y), "must hold 2 inputs: ['z-wide', 'a-narrow']"),
    (two_inputs, (A, Y), "must have shape (None, 4) for input 'a-narrow'"),
    (two_inputs, [A, B[:3]], "Received: shapes [(8, 4), (3, 4)]"),
    (two_inputs, {"z-wide": A}, "Received: keys ['z-wide']"),
    (
        two_inputs,
        {"z-wide": A, "a-narrow": B, "label": Y},
        "Received: keys ['z-wide', 'a-narrow', 'label']",
    ),
    (two_inputs, {"z-wide": A, "a_narrow": B}, "Received: keys"),
]


def test_other_data_are_refused():
    wrong = []
    for build, data, message in WRONG:
        text = refused(build(), data)
        if not text.startswith("Argument `calibration_data` must "):
            wrong.append((message, text))
        if message not in text:
            wrong.append((message, text))
    assert wrong == []


def test_fractions_for_an_integer_input_are_refused():
    tokens = keras.Input((4,), dtype="int32", name="tokens")
    model = keras.Sequential([tokens, layers.Embedding(9, 2)])
    text = refused(model, X)
    assert "must hold integers for input 'tokens' of dtype int32" in text
    found = read(model, np.float32([[1, 2, 3, 4]]))["tokens"]
    assert found.dtype == "int32" and found.tolist() == [[1, 2, 3, 4]]


def test_sequences_of_several_lengths_stay_apart():
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    model = keras.Sequential([tokens, layers.Embedding(9, 2)])
    exportable = prepare_model(model)
    data = [np.full((2, length), length) for length in (3, 5, 5, 2)]
    for form in (data, generator(*data), generator(*([d] for d in data))):
        groups, _ = make_samples(exportable, form)
        shapes = [group["tokens"].shape for group in groups]
        assert shapes == [(2, 3), (4, 5), (2, 2)]
    batches = list(iterate_batches(exportable, groups, single=True))
    assert [b["tokens"].shape[1] for b in batches] == [3] * 2 + [5] * 4 + [
        2
    ] * 2
