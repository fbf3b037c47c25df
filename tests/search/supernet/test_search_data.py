"""Data of a search, without a fit."""

import keras
import numpy as np
import pytest
from callback_tools.supernets import make_data

from keras_netopt.layers import Choice
from keras_netopt.search import compare_architectures, dataset
from keras_netopt.search.supernet.architecture_report import (
    ArchitectureReport,
)
from keras_netopt.search.supernet.search_arguments import check_data
from keras_netopt.search.supernet.search_data import SearchData
from keras_netopt.search.supernet.subnet_ranker import SubnetRanker


class Batches(keras.utils.PyDataset):
    """Inputs are the numbers of the batches."""

    def __len__(self):
        return 20

    def __getitem__(self, i):
        return np.full((32, 2), i), np.zeros(32)


def two_inputs():
    keras.utils.set_random_seed(0)
    inputs = [keras.Input((4,)), keras.Input((4,))]
    x = keras.layers.Add()(inputs)
    candidates = [keras.layers.Dense(4), keras.layers.Identity()]
    x = Choice(candidates, name="c")(x)
    x = keras.layers.BatchNormalization()(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    model.compile(
        "sgd",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=["accuracy"],
    )
    return model


def test_a_model_of_two_inputs_is_ranked_with_sample_weights():
    """A list of inputs was taken for a list of batches."""
    x, y = make_data()
    weight = (y == 1).astype("float32")
    held_out = ([x, x], y, weight)
    data = SearchData.find(
        {"x": [x, x], "validation_data": ([x, x], y)}, held_out
    )
    ranker = SubnetRanker(two_inputs(), data.validation, data.calibration())
    (weighted,) = ranker.values([{"c": 1}])
    kept = y == 1
    one = (x[kept], x[kept])
    only = SubnetRanker(
        two_inputs(), ([*one], y[kept], None), data.calibration()
    )
    assert ranker.monitor == "accuracy"
    assert [weighted] == pytest.approx(only.values([{"c": 1}]))


def test_statistics_come_from_the_first_training_batches():
    x, y = make_data()
    found = SearchData.find({"x": Batches(), "validation_data": (x, y)}, None)
    inputs = found.calibration()
    assert inputs.shape == (256, 2) and set(inputs[:, 0]) == set(range(8))
    once = SearchData.find({"x": iter(Batches())}, (x, y))
    np.testing.assert_array_equal(once.calibration(), x)
    told = check_data("single_path", 1, once, has_norm=True)
    assert "statistics of batch normalization" in told
    assert check_data("single_path", 1, found, has_norm=True) is None


def test_validation_data_that_are_no_arrays_are_named():
    found = SearchData.find(
        {"x": Batches(), "validation_data": Batches()}, None
    )
    message = r"pass arrays \(x, y\).*Received: validation_data of type Batches"
    with pytest.raises(ValueError, match=message):
        check_data("single_path", 1, found)


def test_the_validation_half_keeps_its_weights():
    x, y = make_data()
    data = dataset(x, y, 8, sample_weight=np.arange(48.0))
    _, _, weight = SearchData.find({"x": data}, None).validation
    np.testing.assert_array_equal(weight, data.halves["validation"])


def test_a_report_counts_by_the_direction_of_the_metric():
    report = ArchitectureReport(
        method="single_path",
        architecture={},
        choices={},
        monitor="mae",
        value=0.2,
        controls=(0.3, 0.4, 0.1),
        evaluations=4,
        space=4,
        refused={},
        spearman_params=0.0,
        macs={},
        params={},
        costs={},
        search_macs=1.0,
        largest_training_macs=1.0,
        collapse=None,
        sign=-1,
    )
    assert "found is better than 2" in str(report)
    assert "were not: compare them on test data" in str(report)


def test_a_comparison_checks_its_metric_before_it_trains(monkeypatch):
    def train(*arguments, **options):
        raise AssertionError("trained")

    monkeypatch.setattr(keras.Model, "fit", train)
    x, y = make_data()
    with pytest.raises(ValueError, match="`monitor` must be a metric"):
        compare_architectures(
            two_inputs(),
            [x, x],
            y,
            validation_data=([x, x], y),
            tolerance=1.0,
            monitor="bleu",
        )
