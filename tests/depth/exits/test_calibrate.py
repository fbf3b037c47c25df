"""Check 10 on models: budgets, warnings, fingerprints."""

import keras
import numpy as np
import pytest
from damaged_files import find_unnamed
from depth.exits.nets import BACKEND, make_data, residual_net
from small_disk import fill, small_disk

import keras_netopt as netopt
from keras_netopt.depth import CalibratedExits, add_exits, calibrate
from keras_netopt.training import NoEffectWarning


def _same(test):
    return test


# On TensorFlow it writes and times LiteRT files.
SLOW_FILES = pytest.mark.slow if BACKEND == "tensorflow" else _same


@pytest.fixture(scope="module")
def exits(trained, held_out):
    return calibrate(trained, *held_out, max_accuracy_drop=0.02)


def test_the_accuracy_budget_is_kept(exits):
    assert exits.accuracy >= exits.full_accuracy - 0.02 - 1e-12
    assert sum(exits.fractions.values()) == pytest.approx(1.0)
    assert exits.cost < exits.calibration.costs.by_exit[-1]
    shares = list(exits.fractions.values())
    wanted = np.dot(shares, exits.calibration.costs.by_exit)
    assert exits.cost == pytest.approx(wanted)


def test_costs_include_every_evaluated_head(exits, trained):
    # Stem 16*4*9, inner and last 16*4*4*9; heads 64*3 each, the final one too.
    stem, inner, head = 16 * 4 * 9, 16 * 4 * 4 * 9, 64 * 3
    assert exits.calibration.costs.by_exit == (
        stem + head,
        stem + head + inner + head,
        stem + head + inner + head + inner + head,
    )
    assert exits.full_cost == stem + 2 * inner + head


def test_evaluate_reproduces_the_calibration(exits, held_out):
    found = exits.evaluate(*held_out)
    assert found.fractions == exits.fractions
    assert found.accuracy == pytest.approx(exits.accuracy)
    assert found.cost == pytest.approx(exits.cost)
    assert "without exits (ratio" in str(found)


@pytest.mark.parametrize("criterion", ["entropy", "margin"])
def test_other_criteria(criterion, trained, held_out):
    found = calibrate(trained, *held_out, max_macs=3500, criterion=criterion)
    assert found.cost <= 3500
    _, exits = found.predict(held_out[0], return_exits=True, mode="stages")
    shares = np.bincount(exits, minlength=3) / 200
    assert shares == pytest.approx(list(found.fractions.values()))


def test_a_budget_below_the_cheapest_point_is_refused(trained, held_out):
    with pytest.raises(ValueError, match="at least 768, the cost of the"):
        calibrate(trained, *held_out, max_macs=10)


@SLOW_FILES
def test_a_latency_budget(trained, held_out):
    found = calibrate(trained, *held_out, max_latency_ms=1e4)
    assert found.calibration.costs.unit == "ms"
    assert found.accuracy == max(p.accuracy for p in found.curve)
    assert found.full_cost > 0


def test_few_samples_warn(trained, held_out):
    with pytest.warns(UserWarning, match="20 samples are few"):
        calibrate(trained, held_out[0][:20], held_out[1][:20], max_macs=5000)


def test_training_data_warn(trained, data):
    with pytest.warns(UserWarning, match="were passed to `fit`"):
        calibrate(trained, *data, max_macs=5000)


def test_no_exit_reduces_the_cost(trained, held_out):
    x, y = held_out
    outputs = trained(x, training=False)["final"]
    wrong = keras.ops.convert_to_numpy(outputs).argmax(-1)
    with pytest.warns(NoEffectWarning, match="no exit reduces"):
        found = calibrate(
            trained, x, wrong, max_accuracy_drop=0.001, confidence_level=0.99
        )
    assert found.fractions["final"] == 1.0
    assert "do not reduce the cost" in str(found.report())


def test_nan_answers_are_an_error(trained, held_out):
    x = held_out[0].copy()
    x[3] = np.nan
    with pytest.raises(ValueError, match="NaN for 1 of 200"):
        calibrate(trained, x, held_out[1], max_macs=5000)


def test_a_plain_model_is_refused(held_out):
    with pytest.raises(TypeError, match="must be the trained model that"):
        calibrate(residual_net(), *held_out, max_macs=5000)


def test_exactly_one_budget_is_given(trained, held_out):
    for given in ({}, {"max_macs": 9.0, "max_accuracy_drop": 0.1}):
        with pytest.raises(ValueError, match="exactly one must be given"):
            calibrate(trained, *held_out, **given)
    with pytest.raises(ValueError, match="must hold the classes of 200"):
        calibrate(trained, held_out[0], held_out[1][:9], max_macs=5000)


def test_saved_thresholds_belong_to_their_model(
    exits, trained, tmp_path, held_out
):
    exits.save(tmp_path / "thresholds.json")
    trained.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    again = CalibratedExits.load(loaded, tmp_path / "thresholds.json")
    wrong = find_unnamed(
        tmp_path / "thresholds.json",
        lambda path: CalibratedExits.load(loaded, path),
        remedy="Call `calibrate` again",
    )
    assert wrong == []

    assert again.thresholds == exits.thresholds
    assert again.fractions == exits.fractions
    assert str(again.report()) == str(exits.report())
    assert again.front[0].cost == exits.front[0].cost
    loaded.set_weights([w + 0.5 for w in loaded.get_weights()])
    with pytest.raises(ValueError, match="weights have changed since"):
        again.predict(held_out[0])
    with pytest.raises(ValueError, match="its weights differ"):
        CalibratedExits.load(loaded, tmp_path / "thresholds.json")
    other = add_exits(residual_net(), layers=["first"])
    with pytest.raises(ValueError, match="its graph differ"):
        CalibratedExits.load(other, tmp_path / "thresholds.json")


def test_a_full_disk_keeps_the_former_thresholds(exits, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        exits.save(disk / "thresholds.json")
        before = (disk / "thresholds.json").read_bytes()
        fill(disk, leave=0)
        with pytest.raises(OSError):
            exits.save(disk / "thresholds.json")
        assert (disk / "thresholds.json").read_bytes() == before


def test_data_sets_are_recorded_as_unknown(held_out):
    model = add_exits(residual_net(), layers=["first"])

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return make_data(32)

    # Not compiled: the data are recorded before the first step fails.
    with pytest.raises(ValueError, match="compile"):
        model.fit(Batches(workers=1), verbose=0)
    found = calibrate(model, *held_out, max_macs=2000)
    assert "is unknown" in str(found.report())


def test_the_plot_shows_the_chosen_point(exits, tmp_path):
    figure = exits.plot(tmp_path / "curve.png")
    labels = [line.get_label() for line in figure.axes[0].get_lines()]
    assert labels == [
        "evaluated",
        "Pareto front",
        "without exits",
        "chosen",
    ]
    chosen = figure.axes[0].get_lines()[-1]
    assert chosen.get_ydata()[0] == exits.accuracy
    assert (tmp_path / "curve.png").stat().st_size > 1000
    assert netopt.plots.exit_curve is not None
