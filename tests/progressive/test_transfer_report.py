import json

import numpy as np
import pytest

from keras_netopt.progressive import TransferReport

pytestmark = pytest.mark.no_backend

SCRATCH = np.array([[0.40, 0.60], [0.45, 0.65], [0.50, 0.60]])
NOISE = np.array([[0.00, 0.01], [0.01, 0.00], [0.01, 0.01]])


def report(**gains):
    """Scratch, and arms that are some points above it."""
    curves = {name: SCRATCH + gain + NOISE for name, gain in gains.items()}
    return TransferReport({"scratch": SCRATCH, **curves}, "val_accuracy")


def test_a_gain_above_both_controls_is_transfer():
    found = report(progressive=0.2, random_column=0.0, equal_width=0.05)
    assert found.verdict.startswith("Transfer: the score of 1.3")
    gains = found.gains()
    assert gains["random_column"].mean == pytest.approx(
        found.scores()["progressive"].mean
        - found.scores()["random_column"].mean
    )


def test_a_control_that_gains_as_much_explains_the_gain():
    random = report(progressive=0.1, random_column=0.1, equal_width=0.0)
    assert "No transfer shown: the random column control" in random.verdict
    assert "never learned" in random.verdict
    wide = report(progressive=0.1, random_column=0.0, equal_width=0.12)
    assert "No transfer shown: the equal width control" in wide.verdict
    assert "size explains the gain" in wide.verdict


def test_an_interval_that_holds_zero_leaves_the_question_open():
    found = report(progressive=0.1, random_column=0.0, equal_width=0.0)
    shaken = found.curves["progressive"] + np.array([[0.3], [-0.2], [0.0]])
    curves = {**found.curves, "progressive": shaken}
    unclear = TransferReport(curves, "val_accuracy")
    assert unclear.gains()["scratch"].mean > 0
    assert "Open: " in unclear.verdict and "holds 0" in unclear.verdict


def test_a_score_of_one_is_no_gain():
    found = report(progressive=-0.05, random_column=0.0, equal_width=0.0)
    assert found.verdict.startswith("No gain: the score of 0.9")


def test_controls_have_a_row_even_if_they_were_not_trained():
    found = report(progressive=0.1)
    text = str(found)
    for name in ("random_column", "equal_width"):
        line = next(line for line in text.splitlines() if name in line)
        assert "not trained" in line
    assert text.count("(control)") == 2
    assert "random column and equal width were not trained" in found.verdict

    one = report(progressive=0.1, random_column=0.0)
    assert "Open: equal width was not trained" in str(one)


def test_the_reason_of_a_missing_arm_is_printed():
    found = TransferReport(
        {"scratch": SCRATCH, "progressive": SCRATCH},
        "val_accuracy",
        missing={"equal_width": "a layer has no width"},
    )
    assert "equal_width was not trained: a layer has no width" in str(found)


def test_the_ceiling_is_that_of_a_perfect_curve():
    found = report(progressive=0.1)
    assert found.ceiling == pytest.approx(1 / SCRATCH.mean())
    perfect = TransferReport(
        {"scratch": SCRATCH, "progressive": np.ones((3, 2))}, "val_accuracy"
    )
    ratios = perfect.scores()["progressive"].ratios
    assert len(SCRATCH) / sum(1 / r for r in ratios) == pytest.approx(
        perfect.ceiling
    )
    assert "Fewer labels" not in found.verdict
    high = TransferReport({"scratch": SCRATCH + 0.3}, "val_accuracy")
    assert "Fewer labels" in high.verdict
    floored = TransferReport({"scratch": SCRATCH}, "val_accuracy", floor=0.1)
    assert floored.ceiling == pytest.approx(0.9 / (SCRATCH.mean() - 0.1))


@pytest.mark.parametrize(
    ("monitor", "mode", "factor"),
    [("val_loss", "min", 1), ("return", "max", 1), ("accuracy", "max", 100)],
)
def test_other_metrics_have_no_ceiling(monitor, mode, factor):
    curves = {"scratch": factor * SCRATCH, "progressive": factor * SCRATCH}
    found = TransferReport(curves, monitor, mode)
    assert found.ceiling is None and "exceed" not in found.verdict


def test_a_loss_that_falls_faster_scores_above_one():
    found = TransferReport(
        {"scratch": 2 * SCRATCH, "progressive": SCRATCH}, "val_loss", "min"
    )
    assert found.scores()["progressive"].mean == pytest.approx(2.0)


def test_a_run_that_diverged_has_no_score():
    curves = {"scratch": SCRATCH, "progressive": SCRATCH * np.nan}
    text = str(TransferReport(curves, "val_accuracy"))
    assert "no area" in text and "progressive column has no score" in text
    lost = TransferReport({"scratch": SCRATCH * 0}, "val_accuracy")
    assert "no positive area" in lost.verdict


def test_one_seed_is_no_proof():
    curves = {
        name: SCRATCH[:1] + gain
        for name, gain in [
            ("scratch", 0),
            ("progressive", 0.1),
            ("random_column", 0),
            ("equal_width", 0),
        ]
    }
    found = TransferReport(curves, "val_accuracy")
    assert found.verdict.startswith("Open: the score of 1.2")
    assert "one seed gives no interval" in found.verdict


def test_lines_fit_and_the_report_is_json():
    found = report(progressive=0.2, random_column=0.0, equal_width=0.05)
    assert max(map(len, str(found).splitlines())) <= 100
    written = json.loads(json.dumps(found.to_dict()))
    assert written["scores"]["progressive"]["mean"] > 1
    assert written["verdict"] == found.verdict


def test_the_plot_shows_every_arm_and_seed(tmp_path):
    pytest.importorskip("matplotlib")
    found = report(progressive=0.2, random_column=0.0, equal_width=0.05)
    curves, scores = found.plot(tmp_path / "transfer.png").axes
    assert (tmp_path / "transfer.png").stat().st_size > 1000
    names = [text.get_text() for text in curves.get_legend().get_texts()]
    assert names == list(found.curves)
    assert [t.get_text() for t in scores.get_yticklabels()] == names
    drawn = scores.lines[2].get_xdata().tolist()
    assert drawn == list(found.scores()["progressive"].ratios)
