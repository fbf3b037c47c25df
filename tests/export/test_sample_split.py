"""Which samples calibrate a file, and which judge it."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.export import spread_samples, to_litert
from keras_netopt.export.exportable_model import prepare_model
from keras_netopt.export.input_samples import make_samples
from keras_netopt.export.sample_split import split_samples


@pytest.fixture(scope="module")
def exportable():
    return prepare_model(
        keras.Sequential([keras.Input((1,), name="x"), layers.Dense(2)])
    )


def number(count):
    """Samples that hold their own number."""
    return np.arange(count, dtype="float32")[:, None]


class Indexed:
    """As torch's `Dataset`."""

    def __init__(self, count):
        self.count, self.read = count, 0

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.read += 1
        return np.float32([index])


FORMS = {
    "array": number,
    "dict": lambda n: {"x": number(n)},
    "list of batches": lambda n: np.array_split(number(n), n // 7),
    "generator": lambda n: (number(n)[k : k + 7] for k in range(0, n, 7)),
    "one batch": lambda n: iter([number(n)]),
    "generator of samples": lambda n: iter(number(n)),
    "indexed": Indexed,
}


@pytest.mark.parametrize("form", FORMS)
def test_samples_are_spread_over_all_data(exportable, form):
    """The first 256 of data sorted by class are of one class."""
    for count in (30, 300, 10_000):
        samples, read = make_samples(exportable, FORMS[form](count), limit=100)
        rows = np.concatenate([s["x"] for s in samples])[:, 0]
        assert read is None
        assert len(rows) == len(set(rows)) == min(count, 100)
        assert rows.tolist() == sorted(rows)
        parts = np.bincount((rows * 10 // count).astype(int), minlength=10)
        assert parts.min() >= 0.5 * len(rows) // 10, (form, count, parts)


@pytest.mark.parametrize("form", ["array", "generator", "indexed"])
def test_data_with_a_period_are_read_in_all_phases(exportable, form):
    """Every n-th sample of data whose classes take turns is of one class."""
    (samples,), _ = make_samples(exportable, FORMS[form](10_000), limit=100)
    phases = np.bincount(samples["x"][:, 0].astype(int) % 10, minlength=10)
    assert phases.min() >= 3


def test_the_same_samples_are_chosen_each_time(exportable):
    one, two, three = (
        make_samples(exportable, FORMS["generator"](900), limit=50, seed=seed)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one[0][0]["x"], two[0][0]["x"])
    assert not np.array_equal(one[0][0]["x"], three[0][0]["x"])


def test_endless_data_are_read_up_to_a_bound(exportable, monkeypatch):
    monkeypatch.setattr(spread_samples, "READ_SAMPLES", 1000)
    for form in (
        (np.float32([[k]]) for k in itertools.count()),
        (number(100) + k for k in itertools.count(0, 100)),
    ):
        split = split_samples(exportable, form, calibrate=True)
        assert split.notes == (
            "`calibration_data`: the first 1,000 samples were read",
        )
    monkeypatch.setattr(spread_samples, "READ_BYTES", 4 * 700)
    _, read = make_samples(exportable, FORMS["generator"](10**6))
    assert read == 700


def test_few_items_of_indexed_data_are_read(exportable):
    data = Indexed(10**6)
    make_samples(exportable, data, limit=100)
    assert data.read == 100


def test_large_samples_are_fewer(exportable, monkeypatch):
    monkeypatch.setattr(spread_samples, "KEPT_BYTES", 4 * 40)
    for form in ("array", "generator"):
        (samples,), _ = make_samples(exportable, FORMS[form](1000))
        assert len(samples["x"]) == 40


def test_a_file_is_judged_on_samples_that_calibrated_nothing(exportable):
    for count, calibrated, judged in (
        (20, 10, 10),
        (200, 100, 100),
        (10_000, 256, 1024),
    ):
        split = split_samples(exportable, number(count), calibrate=True)
        one, two = (
            samples[0]["x"][:, 0]
            for samples in (split.calibration, split.verification)
        )
        assert (len(one), len(two)) == (calibrated, judged)
        assert set(one).isdisjoint(two)
        assert split.source == "held out" and split.notes == ()
        # Any first part of the samples is spread, too.
        for part in (one, two[: judged // 2]):
            assert part.min() < 0.3 * count and part.max() > 0.7 * count


def test_few_samples_calibrate_and_judge_and_the_report_says_so(exportable):
    split = split_samples(exportable, number(19), calibrate=True)
    assert split.calibration is split.verification
    assert split.source == "calibration"
    assert split.notes == (
        "`calibration_data` holds 19 samples: the file was calibrated and "
        "verified on the same ones. Pass 200 or more, at least 20",
    )


def test_modes_without_calibration_are_judged_on_all_samples(exportable):
    split = split_samples(exportable, number(2000))
    assert len(split.verification[0]["x"]) == 1024
    assert split.source == "given"
    assert split_samples(exportable).source == "random"


def test_sequences_of_several_lengths_are_split(monkeypatch):
    exportable = prepare_model(
        keras.Sequential([keras.Input((None, 1)), layers.Conv1D(2, 1)])
    )
    data = [np.ones((10, n, 1)) * n for n in (1, 2, 3, 4)]
    split = split_samples(exportable, data, calibrate=True)
    for samples in (split.calibration, split.verification):
        shapes = [next(iter(s.values())).shape for s in samples]
        assert [shape[1] for shape in shapes] == [1, 2, 3, 4]
        assert all(3 <= shape[0] <= 7 for shape in shapes)


@pytest.mark.parametrize("value", [0.0, 3.5])
def test_equal_samples_are_a_warning(exportable, value):
    split = split_samples(exportable, np.full((30, 1), value), calibrate=True)
    assert split.warnings == (
        "all 30 samples of `calibration_data` are equal: the file was judged "
        "on one input. Pass real inputs.",
    )
    assert split_samples(exportable, number(30)).warnings == ()
    assert split_samples(exportable, number(1)).warnings == ()


BAD = {
    "NaN": ([np.nan], "1 of 40 values of input 'x' are NaN or infinite as fl"),
    "infinity": ([np.inf, -np.inf], "2 of 40 values of input 'x' are NaN or"),
    "float64": ([1e300], "1 of 40 values of input 'x' are NaN or infinite as "),
}


@pytest.mark.parametrize("kind", BAD)
def test_values_that_are_no_numbers_are_refused(exportable, kind):
    values, message = BAD[kind]
    data = np.zeros((40, 1))
    data[5 : 5 + len(values), 0] = values
    for form in (data, list(np.split(data, 4)), iter(data)):
        with pytest.raises(ValueError) as error:
            split_samples(exportable, form, calibrate=True)
        assert str(error.value).startswith(
            "Argument `calibration_data` must be finite. Received: "
        )
        assert message in str(error.value)


def test_an_iterator_that_is_used_up_is_refused(exportable):
    used = iter([number(30)])
    list(used)
    with pytest.raises(ValueError) as error:
        split_samples(exportable, used, calibrate=True)
    assert "which is empty, or was iterated over before: pass a " in str(
        error.value
    )


@pytest.mark.backend("tensorflow")
def test_a_sorted_array_is_not_certified_wrongly(tmp_path, monkeypatch):
    """The classes of the first samples have the smallest numbers.

    Ranges from the first 256 samples clip the others.
    """
    from keras_netopt.cost.tflite_model import TfliteModel

    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 8)) * np.geomspace(0.1, 20, 2000)[:, None]
    model = keras.Sequential([keras.Input((8,), name="x"), layers.Dense(4)])
    model.layers[0].kernel.assign(rng.normal(size=(8, 4)))
    options = {"quantize": "int8", "calibration_data": x[::2]}
    with pytest.warns(UserWarning, match=r"same class for 8\d\.\d% of the"):
        report = to_litert(model, tmp_path / "m.tflite", **options)
    others = x[1::2].astype("float32")
    answers = TfliteModel(report.path).run(others)["output_0"]
    expected = np.asarray(model(others))
    true = np.mean(answers.argmax(-1) == expected.argmax(-1))
    assert report.verification.agreement == pytest.approx(true, abs=0.02)
    assert report.verification.samples == 744
