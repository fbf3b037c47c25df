"""Files without what the runtime does not read."""

import importlib

import keras
import numpy as np
import pytest
from export.conftest import build_tiny
from keras import layers

from keras_netopt.cost.tflite_model import TfliteModel, load_schema
from keras_netopt.export import ExportError, compact_file, to_litert
from keras_netopt.export.compact_file import compact_content
from keras_netopt.export.file_breakdown import measure_breakdown

MODES = ("float32", "dynamic", "int8", "int16x8", "float16")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The files of one model with two inputs, by mode, and its inputs."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 1), name="image")
    number = keras.Input((4,), name="number")
    x = layers.Conv2D(16, 3, activation="relu")(image)
    x = layers.DepthwiseConv2D(3)(layers.BatchNormalization()(x))
    x = layers.Flatten()(x)
    x = layers.Concatenate()([x, layers.Dense(16)(number)])
    model = keras.Model(
        [image, number], {"b": layers.Dense(64)(x), "a": layers.Dense(3)(x)}
    )
    rng = np.random.default_rng(0)
    # The converter drops biases of zeros.
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0.0, 0.1, weight.shape))
    data = [rng.normal(size=(8, *x.shape[1:])) for x in model.inputs]
    data = [array.astype("float32") for array in data]
    folder = tmp_path_factory.mktemp("files")
    reports = {
        mode: to_litert(
            model,
            folder / f"{mode}.tflite",
            quantize=None if mode == "float32" else mode,
            calibration_data=data,
        )
        for mode in MODES
    }
    return reports, dict(zip(("image", "number"), data, strict=True))


def read(path):
    with open(path, "rb") as file:
        return file.read()


def test_every_mode_computes_the_same_bits(files, tmp_path):
    reports, x = files
    wrong = []
    for mode, report in reports.items():
        path = tmp_path / f"{mode}.tflite"
        path.write_bytes(compact_content(read(report.path)))
        full, small = TfliteModel(report.path), TfliteModel(path)
        assert (full.inputs, full.outputs) == (small.inputs, small.outputs)
        size = full.inputs["image"].shape[0] or 4
        feeds = {name: array[:size] for name, array in x.items()}
        one, two = full.run(feeds), small.run(feeds)
        assert set(one) == {"a", "b"}
        wrong += [
            f"{mode}: {name}"
            for name in one
            if one[name].tobytes() != two[name].tobytes()
        ]
    assert wrong == []


def test_names_and_second_copies_are_dropped(files):
    for report in files[0].values():
        before = report.breakdown
        after = measure_breakdown(compact_content(read(report.path)))
        assert after.weights == before.weights
        assert after.tensor_names < before.tensor_names / 4
        assert after.other < before.other
        assert after.total < before.total - 0.75 * before.tensor_names
    for mode in ("int8", "int16x8"):
        report = files[0][mode]
        after = measure_breakdown(compact_content(read(report.path)))
        assert after.scales < 0.6 * report.breakdown.scales


def test_a_compact_file_is_compact(files):
    once = compact_content(read(files[0]["int8"].path))
    assert compact_content(once) == once


def test_weights_lie_at_multiples_of_sixteen_bytes(files):
    for report in files[0].values():
        content = compact_content(read(report.path))
        start = np.frombuffer(content, "uint8").ctypes.data
        model = load_schema().Model.GetRootAsModel(content, 0)
        for buffer in map(model.Buffers, range(model.BuffersLength())):
            if buffer.DataLength():
                place = buffer.DataAsNumpy().ctypes.data - start
                assert place % 16 == 0


def test_the_breakdown_adds_up(files):
    for report in files[0].values():
        found = report.breakdown
        assert found.total == report.size.raw
        assert found == measure_breakdown(read(report.path))
        assert f"weights {found.weights:,}" in str(report)
    found = files[0]["float32"].breakdown
    # The normalization after ReLU is a product and a sum of 16 values each;
    # the shape of Flatten is a constant.
    assert found.weights == 4 * (18_691 + 2 * 16) + 12
    assert found.scales == 0


def test_sparse_weights_have_their_indices_counted(tmp_path):
    model = keras.Sequential([keras.Input((64,)), layers.Dense(64)])
    kernel = np.zeros((64, 64), "float32")
    kernel[:, :4] = 1.0
    model.layers[0].set_weights([kernel, np.zeros(64)])
    path = tmp_path / "m.tflite"
    report = to_litert(model, path, sparse=True, compact=True)
    found = report.breakdown
    assert found.sparse_indices > 0
    assert found.weights < 4 * 64 * 64 / 8
    assert found.total == report.size.raw


def test_equal_weights_are_stored_once(tmp_path):
    kernel = np.random.default_rng(0).normal(size=(32, 32)).astype("float32")
    parts = [layers.Dense(32, use_bias=False) for _ in range(2)]
    model = keras.Sequential([keras.Input((32,)), *parts])
    for part in parts:
        part.set_weights([kernel])
    report = to_litert(model, tmp_path / "m.tflite", compact=True)
    assert report.breakdown.weights < 1.5 * kernel.nbytes
    assert report.max_abs_diff < 1e-4


def test_the_export_notes_what_it_dropped(tiny, tiny_report, tmp_path):
    report = to_litert(tiny, tmp_path / "m.tflite", compact=True)
    assert report.notes == (
        f"compact: {report.size.raw:,} of {tiny_report.size.raw:,} bytes, "
        "without tensor names and with equal arrays stored once",
    )
    assert report.size.raw < tiny_report.size.raw
    assert report.max_abs_diff == tiny_report.max_abs_diff
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.tflite"]


def test_a_compact_file_that_differs_is_refused(tiny, tmp_path, monkeypatch):
    def perturb(content):
        kernel = tiny.layers[0].kernel.numpy().T
        changed = (kernel * np.float32(1 + 1e-7)).tobytes()
        return content.replace(kernel.tobytes(), changed)

    monkeypatch.setattr(compact_file, "compact_content", perturb)
    with pytest.raises(ExportError, match="another output 'output_0'"):
        to_litert(tiny, tmp_path / "m.tflite", compact=True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_signature_keeps_the_names_of_its_inputs(tiny_report):
    schema = load_schema()
    model = schema.ModelT.InitFromPackedBuf(read(tiny_report.path), 0)
    model.signatureDefs = None
    builder = importlib.import_module("flatbuffers").Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    small = compact_content(bytes(builder.Output()))
    graph = schema.Model.GetRootAsModel(small, 0).Subgraphs(0)
    names = [graph.Tensors(k).Name() for k in range(graph.TensorsLength())]
    assert b"serving_default_x:0" in names
    assert names.count(b"") == len(names) - 2


def test_the_metadata_of_others_are_kept(tiny_report):
    schema = load_schema()
    model = schema.ModelT.InitFromPackedBuf(read(tiny_report.path), 0)
    note = schema.BufferT(data=np.frombuffer(b"labels", "uint8"))
    model.buffers.append(note)
    place = len(model.buffers) - 1
    model.metadata.append(schema.MetadataT(name=b"MINE", buffer=place))
    builder = importlib.import_module("flatbuffers").Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    small = schema.ModelT.InitFromPackedBuf(
        compact_content(bytes(builder.Output())), 0
    )
    kept = {one.name: small.buffers[one.buffer].data for one in small.metadata}
    assert kept.pop(b"MINE").tobytes() == b"labels"
    assert set(kept) == {b"min_runtime_version"}


def test_weights_outside_the_flatbuffer_are_refused(tiny_report):
    schema = load_schema()
    model = schema.ModelT.InitFromPackedBuf(read(tiny_report.path), 0)
    model.buffers[-1].offset = 5_000_000_000
    builder = importlib.import_module("flatbuffers").Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    with pytest.raises(ExportError, match="2 GB or more"):
        compact_content(bytes(builder.Output()))


def test_compact_is_a_bool(tmp_path):
    with pytest.raises(TypeError, match="compact"):
        to_litert(build_tiny(), tmp_path / "m.tflite", compact=1)
