"""Files of frozen graphs equal those of SavedModels."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt import export, quantization
from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.export.unverified_file import write_quickly, write_unverified
from keras_netopt.export.write_verified import write_verified

pytestmark = pytest.mark.backend("tensorflow")


@pytest.fixture(scope="module")
def model():
    """Two inputs and two outputs of equal shape, by names."""
    keras.utils.set_random_seed(0)
    inputs = {name: keras.Input((6,), name=name) for name in "ba"}
    x = layers.Concatenate()([inputs["b"], 2 * inputs["a"]])
    x = layers.BatchNormalization()(layers.Dense(48, activation="relu")(x))
    outputs = {"z": layers.Dense(3)(x), "y": layers.Dense(3)(x)}
    return keras.Model(inputs, outputs)


def make_inputs(count=32):
    rng = np.random.default_rng(0)
    return {k: rng.normal(size=(count, 6)).astype("float32") for k in "ab"}


def test_inputs_and_outputs_have_their_names(model, tmp_path):
    path = tmp_path / "m.tflite"
    write_quickly(model, str(path))
    x = make_inputs()
    found, expected = TfliteModel(path).run(x), model(x)
    assert set(found) == {"y", "z"}
    for name, output in expected.items():
        np.testing.assert_allclose(found[name], output, atol=1e-5)


def test_the_file_has_the_weights_and_ops_of_the_other_way(model, tmp_path):
    sizes = []
    for name, write in (("q", write_quickly), ("u", write_unverified)):
        path = str(tmp_path / f"{name}.tflite")
        options = {"compact": True} if write is write_unverified else {}
        write(model, path, "dynamic", **options)
        found = export.inspect_file(path)
        sizes.append((found.size.raw, found.ops))
    assert abs(sizes[0][0] - sizes[1][0]) < 0.02 * sizes[1][0]
    assert sizes[0][1] == sizes[1][1]


def test_measured_ranges_make_an_int8_file_without_calibration(model, tmp_path):
    x = make_inputs(128)
    ranges = quantization.ActivationRanges.attach(model)
    before = [np.array(w) for w in model.get_weights()]
    try:
        ranges.measure([{k: v[:64] for k, v in x.items()}, x])
        low, high = ranges.values()[0]
        assert low == x["a"].min() or low == x["b"].min()
        assert high in (x["a"].max(), x["b"].max())
        path = tmp_path / "m.tflite"
        for io in ("int8", "uint8"):
            warnings = write_verified(
                model, str(path), "int8", samples=x, quantized_io=io
            )
            assert warnings == []
            dtypes = {one.dtype for one in TfliteModel(path).inputs.values()}
            assert dtypes == {io}
        outputs = model(x)
    finally:
        quantization.remove_ranges(model)
    found = TfliteModel(path).run(x)
    for name, output in outputs.items():
        gap = np.abs(found[name] - np.asarray(output)).max()
        assert gap < 0.02 * np.ptp(output)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_with_nan_leaves_no_file(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    model.set_weights([np.full((4, 2), np.nan), np.zeros(2)])
    with pytest.raises(export.ExportError):
        write_verified(
            model, str(tmp_path / "m.tflite"), None, samples=np.ones((8, 4))
        )
    assert list(tmp_path.iterdir()) == []
