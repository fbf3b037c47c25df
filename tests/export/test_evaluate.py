"""Metrics of files on labelled samples, without a conversion."""

import keras
import numpy as np
import pytest

from keras_netopt.cost.tflite_model import TensorInfo
from keras_netopt.export import evaluate, evaluate_file

RNG = np.random.default_rng(0)


class FileOfFunction:
    """Stands for a LiteRT file that computes a function of its inputs."""

    def __init__(self, function, inputs, outputs):
        self.function = function
        self.inputs = {info.name: info for info in inputs}
        self.outputs = dict.fromkeys(outputs)
        self.calls = []

    def run(self, x):
        assert set(x) == set(self.inputs)
        for name, array in x.items():
            assert array.dtype == self.inputs[name].dtype
        self.calls.append(len(next(iter(x.values()))))
        return self.function(x)


@pytest.fixture
def make(monkeypatch):
    """Makes `evaluate` find the file of a function."""

    def make(
        function=lambda x: {"output_0": x["x"]},
        inputs=None,
        outputs=("output_0",),
    ):
        inputs = inputs or wide(3)
        made = FileOfFunction(function, inputs, outputs)
        monkeypatch.setattr(evaluate_file, "TfliteModel", lambda path: made)
        return made

    return make


def rows(count=10, classes=3):
    return RNG.normal(size=(count, classes)).astype("float32")


def wide(width, name="x"):
    return (TensorInfo(name, (None, width), "float32"),)


# The forms of labels, in their order: x, y, kind, metrics.
X = rows()
BEST = X.argmax(-1)
WRONG = np.where(np.arange(10) < 4, (BEST + 1) % 3, BEST)
P = RNG.random((10, 1)).astype("float32")
IS_BIG = P > 0.5
FORMS = {
    "classes": (X, WRONG, "class numbers", {"accuracy": 0.6}),
    "column": (X, WRONG[:, None], "class numbers", {"accuracy": 0.6}),
    "floats": (X, WRONG.astype("float32"), "class numbers", {"accuracy": 0.6}),
    "one-hot": (X, np.eye(3)[WRONG], "one-hot rows", {"accuracy": 0.6}),
    "bool": (X, np.eye(3)[WRONG] > 0, "one-hot rows", {"accuracy": 0.6}),
    "smoothed": (
        X,
        0.9 * np.eye(3)[WRONG] + 0.1 / 3,
        "one-hot rows",
        {"accuracy": 0.6},
    ),
    "yes-no": (P, IS_BIG[:, 0], "0 and 1", {"accuracy": 1.0}),
    "yes-no column": (P, 1 - IS_BIG, "0 and 1", {"accuracy": 0.0}),
    "logits": (10 * P - 5, IS_BIG.astype("int8"), "0 and 1", {"accuracy": 1.0}),
    "many labels": (
        X,
        (X > 0) ^ (np.arange(3) == 0),
        "0 and 1",
        {"accuracy": 2 / 3},
    ),
    "numbers": (X, X + 0.5, "numbers", {"mse": 0.25, "mae": 0.5}),
    "integers": (P, 7 + 0 * BEST, "numbers", None),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch_size", [3, 100])
def test_labels_are_read_by_their_form(make, form, batch_size):
    x, y, kind, metrics = FORMS[form]
    make(inputs=wide(x.shape[1]))
    report = evaluate("m.tflite", x, y, batch_size=batch_size)
    assert report.samples == 10
    assert report.labels == {"output_0": kind}
    if metrics is not None:
        found = report.metrics["output_0"]
        assert found == pytest.approx(metrics, abs=1e-6)
        assert report.accuracy == found.get("accuracy")


def test_labels_may_belong_to_places(make):
    images = rows(40).reshape(2, 4, 5, 3)
    make(inputs=(TensorInfo("x", (None, 4, 5, 3), "float32"),))
    y = images.argmax(-1)
    y[0] = (y[0] + 1) % 3
    for labels in (y, y[..., None]):
        assert evaluate("m.tflite", images, labels).accuracy == 0.5


def test_yes_no_labels_of_places_are_no_one_hot_rows(make):
    x = rows(6).reshape(6, 3, 1)
    make(inputs=(TensorInfo("x", (None, 3, 1), "float32"),))
    y = np.eye(3)[[0, 1, 2, 0, 1, 2]]
    assert evaluate("m.tflite", x, y).labels == {"output_0": "0 and 1"}


def test_a_file_that_ends_in_argmax(make):
    make(lambda x: {"output_0": x["x"].argmax(-1).astype("int32")})
    report = evaluate("m.tflite", X, WRONG)
    assert (report.accuracy, report.labels) == (
        0.6,
        {"output_0": "class numbers"},
    )


def test_weights_of_samples(make):
    make()
    weights = np.where(np.arange(10) < 4, 3.0, 1.0)
    for y in (WRONG, np.eye(3)[WRONG]):
        batches = [
            (X[k : k + 5], y[k : k + 5], weights[k : k + 5]) for k in (0, 5)
        ]
        assert evaluate("m.tflite", batches).accuracy == pytest.approx(6 / 18)
    for wrong, message in (
        (np.zeros(10), "must not all be 0"),
        (np.ones(9), "one number for each sample"),
        (np.full(10, np.nan), "finite"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate("m.tflite", [(X, WRONG, wrong)])


def test_data_sets_of_all_kinds(make):
    torch = pytest.importorskip("torch")
    make()

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, k):
            return X[5 * k : 5 * k + 5], WRONG[5 * k : 5 * k + 5]

    pairs = torch.utils.data.TensorDataset(
        torch.from_numpy(X), torch.from_numpy(WRONG)
    )
    for data in (
        [(X, WRONG)],
        (X, WRONG),
        Batches(),
        torch.utils.data.DataLoader(pairs, batch_size=4),
        (pair for pair in [(X[:3], WRONG[:3]), (X[3:], WRONG[3:])]),
        [(keras.ops.convert_to_tensor(X), keras.ops.convert_to_tensor(WRONG))],
    ):
        report = evaluate("m.tflite", data)
        assert (report.accuracy, report.samples) == (0.6, 10)


def test_a_fixed_batch_is_filled_up(make):
    made = make(inputs=(TensorInfo("x", (4, 3), "float32"),))
    assert evaluate("m.tflite", X, WRONG).accuracy == 0.6
    assert made.calls == [4, 4, 4]
    batches = [(X[:3], WRONG[:3]), (X[3:], WRONG[3:])]
    assert evaluate("m.tflite", batches).accuracy == 0.6


def test_several_inputs_and_outputs_are_matched_by_name(make):
    make(
        lambda x: {"b": x["z_wide"], "a": -x["x"]},
        (*wide(3), *wide(3, "z_wide")),
        ("a", "b"),
    )
    x = {"z-wide": X, "x": X}
    y = {"b": BEST, "a": (-X).argmax(-1)}
    report = evaluate("m.tflite", x, y)
    assert report.metrics == {"a": {"accuracy": 1}, "b": {"accuracy": 1}}
    assert report.accuracy is None
    assert evaluate("m.tflite", x, {"b": BEST}).accuracy == 1
    assert evaluate("m.tflite", [(x, {"b": BEST})]).accuracy == 1
    chosen = evaluate("m.tflite", x, y, metrics={"a": ["accuracy"]})
    assert list(chosen.metrics) == ["a"]
    for bad in ({"x": X}, {**x, "c": X}, [X, X], X):
        with pytest.raises(ValueError, match=r"Argument `x`.*'x', 'z_wide'"):
            evaluate("m.tflite", bad, y)
    for bad in ([BEST, BEST], BEST, {"c": BEST}):
        with pytest.raises(ValueError, match=r"Argument `y`.*'a', 'b'"):
            evaluate("m.tflite", x, bad)
    for bad in ("mse", {"c": "mse"}, {}):
        with pytest.raises(ValueError, match="Argument `metrics`"):
            evaluate("m.tflite", x, y, metrics=bad)


def test_labels_in_a_list_have_the_order_of_the_model(make):
    names = [f"output_{k}" for k in range(11)]
    make(
        lambda x: {name: x["x"] + k for k, name in enumerate(names)},
        outputs=sorted(names),
    )
    report = evaluate("m.tflite", X, [X + k for k in range(11)], metrics=None)
    assert max(found["mse"] for found in report.metrics.values()) < 1e-9


def test_metrics_of_keras(make):
    make()

    def largest_gap(y_true, y_pred):
        return keras.ops.max(keras.ops.abs(y_true - y_pred), -1)

    y = X + 0.5
    report = evaluate(
        "m.tflite",
        X,
        y,
        metrics=["mse", keras.metrics.MeanAbsoluteError("gap"), largest_gap],
        batch_size=4,
    )
    found = report.metrics["output_0"]
    assert found == pytest.approx(
        {"mean_squared_error": 0.25, "gap": 0.5, "largest_gap": 0.5}
    )
    top = keras.metrics.SparseTopKCategoricalAccuracy(2, name="top2")
    for _ in range(2):  # The state of an earlier call is reset.
        report = evaluate("m.tflite", X, BEST, metrics=[top, "accuracy"])
        assert report.metrics == {"output_0": {"top2": 1.0, "accuracy": 1.0}}
    for bad, error in (
        ("mme", ValueError),
        (3, (TypeError, ValueError)),
        ([], ValueError),
    ):
        with pytest.raises(error, match="Argument `metrics`"):
            evaluate("m.tflite", X, y, metrics=bad)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_quantized_inputs(make, dtype):
    info = TensorInfo("x", (None, 3), dtype, scale=0.1, zero_point=5)
    make(lambda x: {"output_0": info.decode(x["x"])}, (info,))
    x = np.array([[-0.4, 0.0, 1.2]])
    for given in (x, x.astype("float32"), info.encode(x)):
        found = evaluate("m.tflite", given, x).metrics["output_0"]
        assert found["mae"] < 1e-6
    # Integers of another dtype are numbers, not codes.
    whole = np.array([[0, 1, 2]], "int64")
    found = evaluate("m.tflite", whole, whole + 0.5).metrics["output_0"]
    assert found["mae"] == pytest.approx(0.5, abs=1e-6)


def test_inputs_of_integers(make):
    made = make(
        lambda x: {"output_0": x["x"].astype("float32")},
        (TensorInfo("x", (None, 3), "int32"),),
    )
    x = np.array([[1, 2, 3]])
    assert evaluate("m.tflite", x, [2]).accuracy == 1
    assert evaluate("m.tflite", x.astype("float32"), [2]).accuracy == 1
    assert made.calls == [1, 1]
    for bad, problem in ((x + 0.5, "fractions"), (x * 2**40, "numbers from")):
        with pytest.raises(ValueError, match=problem):
            evaluate("m.tflite", bad, [2])


def test_nan_of_the_file_is_wrong_and_noted(make):
    def function(x):
        out = x["x"].copy()
        out[BEST == 0] = np.nan
        return {"output_0": out}

    make(function)
    count = int((BEST == 0).sum())
    for y in (BEST, np.eye(3)[BEST]):
        report = evaluate("m.tflite", X, y, batch_size=10)
        assert report.accuracy == 1 - count / 10
        assert f"outputs of {count} samples hold NaN" in str(report)


with_nan = X.copy()
with_nan[3, 1] = np.nan
MISTAKES = {
    "NaN in x": (with_nan, BEST, "free of NaN. Received: NaN in 1 of 10"),
    "NaN in y": (X, np.r_[BEST[:9], np.nan], "NaN or infinity"),
    "labels from 1": (X, BEST + 1, "Subtract 1 if the first class is 1"),
    "label too large": (X, BEST * 5, "numbers from 0 to 10"),
    "negative label": (X, BEST - 1, "numbers from -1 to 1"),
    "labels of another number": (X, BEST[:9], "lengths"),
    "no samples": (X[:0], BEST[:0], "at least one"),
    "no labels": (X, None, "Argument `y` must be given"),
    "other width": (X[:, :2], BEST, r"shape \(None, 3\) for input 'x'"),
    "missing axis": (X[:, 0], BEST, r"Received: shape \(10,\)"),
    "other labels": (X, np.zeros((10, 2)), r"Received: float64 of shape"),
    "fractions as classes": (X, BEST + 0.5, "class numbers"),
    "text as x": (X.astype(str), BEST, "must hold numbers for input 'x'"),
    "text as y": (X, BEST.astype(str), "finite numbers for output"),
    "no batches": (iter([]), None, "yields no batch"),
    "batches without labels": ([X], None, "must hold labels"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(make, mistake):
    x, y, message = MISTAKES[mistake]
    make()
    with pytest.raises(ValueError, match=message):
        evaluate("m.tflite", x, y)


def test_a_missing_channel_axis_has_a_remedy(make):
    make(inputs=(TensorInfo("x", (None, 4, 4, 1), "float32"),))
    with pytest.raises(ValueError, match=r"Add an axis with `x\[..., None\]`"):
        evaluate("m.tflite", np.zeros((2, 4, 4)), [0, 1])


def test_an_output_without_batch_axis_is_refused(make):
    make(lambda x: {"output_0": x["x"].mean()})
    with pytest.raises(ValueError, match="one entry per sample"):
        evaluate("m.tflite", X, BEST)


def test_arguments_of_another_type(make, tmp_path):
    make()
    with pytest.raises(TypeError, match="batch_size"):
        evaluate("m.tflite", X, BEST, batch_size=1.5)
    with pytest.raises(TypeError, match="Argument `path`"):
        evaluate(3, X, BEST)
    with pytest.raises(TypeError, match="Argument `x`"):
        evaluate("m.tflite", 3)


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError):
        evaluate(tmp_path / "m.tflite", X, BEST)
    path = tmp_path / "m.tflite"
    for content in (b"no model", b"", b"\x1c\0\0\0TFL3" + 40 * b"\xff"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="`path` must be a LiteRT"):
            evaluate(path, X, BEST)


def test_the_report_is_plain_data(make):
    make()
    report = evaluate("m.tflite", X, WRONG)
    assert report.to_dict() == {
        "path": "m.tflite",
        "samples": 10,
        "metrics": {"output_0": {"accuracy": 0.6}},
        "labels": {"output_0": "class numbers"},
        "notes": [],
    }
    text = str(report)
    assert "m.tflite on 10 samples" in text
    assert "0.6000" in text
