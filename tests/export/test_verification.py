"""What a verification says: per sample, on samples that calibrated nothing."""

import numpy as np
import pytest

from keras_netopt.export import ExportError, verification
from keras_netopt.export.sample_split import GIVEN, HELD_OUT, RANDOM

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(200, 5)).astype("float32")

pytestmark = pytest.mark.no_backend


@pytest.fixture
def verify(monkeypatch):
    """A function that compares outputs of a model and a file."""
    monkeypatch.setattr(verification, "_describe_wide_layers", lambda _: "")

    def verify(expected, actual, quantize="int8", source=HELD_OUT):
        sides = [
            [{"y": part} for part in np.array_split(side, 3)]
            for side in (expected, actual)
        ]
        monkeypatch.setattr(verification, "run_file", lambda *_, **__: sides[1])
        return verification.verify_file(
            None, "m.tflite", None, sides[0], quantize, source=source
        )

    return verify


def change_classes(share):
    """Exchanges the two best classes of a share of the samples, at 0 cost."""
    values = LOGITS.copy()
    order = np.argsort(values, axis=1)
    for row in range(round(share * len(values))):
        best, second = order[row, -1], order[row, -2]
        gap = (values[row, best] - values[row, second]) / 2 + 1e-3
        values[row, best] -= gap
        values[row, second] += gap
    return values


def test_one_large_sample_does_not_hide_the_others(verify):
    """Relative to the largest output of all, every difference is small."""
    expected = LOGITS.copy()
    expected[7] = 1e4
    found = verify(expected, expected + 0.5)
    assert found.max_rel_diff < 1e-4
    assert found.median_rel_diff > 0.2
    text = verification.find_differences(found, "int8")
    assert text.startswith("outputs differ by 0.")


def test_an_offset_of_all_outputs_does_not_hide_differences(verify):
    """A temperature in kelvin varies by 1 around 300."""
    expected = 300 + LOGITS[:, :1]
    found = verify(expected, expected + 0.3)
    assert found.max_rel_diff < 1e-2
    assert verification.find_differences(found, "int8") != ""
    with pytest.raises(ExportError, match="breaks the model: outputs differ"):
        verify(expected, np.full_like(expected, 300.0))


def test_some_samples_that_are_wrong_are_told(verify):
    actual = LOGITS.copy()
    actual[:16] += 5.0
    found = verify(LOGITS, actual)
    assert found.median_rel_diff == 0
    assert found.p95_rel_diff > 1
    assert verification.find_differences(found, "int8") != ""


@pytest.mark.parametrize("share", [0.0, 0.02, 0.1, 0.25, 0.5])
def test_classes_have_thresholds_of_their_own(verify, share):
    """However small the differences of the outputs."""
    values = change_classes(share)
    if share > 0.3:
        with pytest.raises(ExportError, match="same class for 50.0% of the s"):
            verify(LOGITS, values)
        return
    found = verify(LOGITS, values)
    assert found.agreement == pytest.approx(1 - share)
    text = verification.find_differences(found, "int8")
    assert bool(text) == (share > 0.03)
    if share > 0.03:
        assert "97% of the classes are usual for 'int8'" in text


def test_classes_that_tie_are_no_difference(verify):
    """An untrained head of zeros has no class."""
    found = verify(np.zeros((60, 5)), RNG.normal(size=(60, 5)) * 1e-9)
    assert found.agreement == 1.0


def test_random_inputs_say_nothing_about_classes(verify):
    expected = 100 + 1e-3 * LOGITS
    actual = expected[::-1]
    found = verify(expected, actual, source=RANDOM)
    assert found.agreement < 0.5
    assert verification.find_differences(found, "int8") == ""
    with pytest.raises(ExportError, match=r"\(200 samples\)"):
        verify(expected, actual, source=GIVEN)


def test_outputs_of_several_lengths_are_compared(verify, monkeypatch):
    expected = [{"y": np.ones((2, n, 3))} for n in (1, 2)]
    monkeypatch.setattr(verification, "run_file", lambda *_, **__: expected)
    found = verification.verify_file(None, "m.tflite", None, expected, "int8")
    assert found.median_rel_diff == 0.0 and found.agreement is None
