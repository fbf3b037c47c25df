"""Embeddings that lose their values to one large row."""

import contextlib

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.export import ExportError, to_litert


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((6,), dtype="int32", name="x"),
            layers.Embedding(200, 16, name="table"),
            layers.Flatten(),
            layers.Dense(5),
        ]
    )


def export(model, path, large, **options):
    """Exports with one large row, which no sample reads."""
    rng = np.random.default_rng(0)
    table = rng.uniform(-1, 1, (200, 16))
    table[7] *= large
    model.get_layer("table").embeddings.assign(table)
    data = rng.integers(8, 200, (100, 6))
    return to_litert(model, path, calibration_data=data, **options)


def test_one_large_row_is_told_with_the_figures(model, tmp_path):
    with pytest.warns(UserWarning) as caught:
        with contextlib.suppress(ExportError):
            export(model, tmp_path / "m.tflite", 40.0, quantize="dynamic")
    text = next(t for w in caught if "embedding" in (t := str(w.message)))
    assert "embedding 'table' has one scale for its 200 rows, 0.3" in text
    assert "set by row 7 (largest value 3" in text
    assert "% of the rows have fewer than 8 steps. Clip the large" in text


def test_the_remedies_that_are_named_work(model, tmp_path):
    for name, large, options in (
        ("clipped", 1.0, {"quantize": "dynamic"}),
        ("float16", 40.0, {"quantize": "float16"}),
        ("int8", 40.0, {"quantize": "int8"}),
    ):
        report = export(model, tmp_path / f"{name}.tflite", large, **options)
        assert report.warnings == (), name
        assert report.verification.agreement >= 0.97
