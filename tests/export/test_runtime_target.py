"""Files for a runtime other than the interpreter: `target=`.

The browser's runtime is in no test: what it refuses was measured, and is
checked in the file.
"""

import keras
import numpy as np
import pytest
from keras import layers
from litert_by_hand import write_dense

from keras_netopt.cost.tflite_model import TfliteModel, load_schema
from keras_netopt.export import ExportError, litert_writer, to_litert
from keras_netopt.export.compact_file import make_builder
from keras_netopt.export.runtime_target import TARGETS, find_target

tensorflow = pytest.mark.backend("tensorflow")
no_backend = pytest.mark.no_backend
X = np.random.default_rng(0).random((40, 6, 6, 1), "float32")


def edit(path, change):
    """Writes a file again after a function has changed its contents."""
    model = load_schema().ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    change(model, model.subgraphs[0])
    builder = make_builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))


def problems_of(target, path):
    """What a runtime says about a file, or ""."""
    try:
        TARGETS[target].check_file(path)
    except ExportError as error:
        return str(error)
    return ""


@no_backend
def test_every_dtype_of_inputs_and_outputs_is_known(tmp_path):
    """LiteRT.js checks both sides when it loads a file."""
    types = vars(load_schema().TensorType).items()
    taken = {"input": set(), "output": set()}
    for name, number in types:
        if name.startswith("_"):
            continue
        for side, place in (("input", 0), ("output", 3)):
            path = write_dense(tmp_path / "m.tflite", np.eye(2), [0, 0], 1)
            edit(
                path,
                lambda _, graph, place=place, number=number: setattr(
                    graph.tensors[place], "type", number
                ),
            )
            said = problems_of("web", path)
            if not said:
                taken[side].add(name)
                continue
            assert f"{side} " in said and f"is {name.lower()}: " in said
            other = "output '" if side == "input" else "input '"
            assert other not in said
    assert taken["input"] == taken["output"] == {"FLOAT32", "INT32", "UINT8"}


@no_backend
@pytest.mark.parametrize("target", TARGETS)
def test_a_free_batch_and_flex_ops_are_found_in_the_file(tmp_path, target):
    path = write_dense(tmp_path / "m.tflite", np.eye(2), [0, 0], 1)
    assert problems_of(target, path) == ""
    write_dense(path, np.eye(2), [0, 0])

    def use_flex(model, _):
        code = model.operatorCodes[0]
        custom = load_schema().BuiltinOperator.CUSTOM
        code.builtinCode = code.deprecatedBuiltinCode = custom
        code.customCode = "FlexErf"

    edit(path, use_flex)
    said = problems_of(target, path)
    assert "input 'x' has free axes, shape (None, 2)" in said
    assert "the ops FlexErf require the Flex delegate" in said
    assert f"(target={target!r})" in said


@no_backend
@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"quantize": "int8", "quantized_io": True},
            "Argument `quantized_io` must be False or 'uint8' for "
            "quantize='int8' and target='web': LiteRT.js takes float32, int32 "
            "or uint8 as inputs and outputs. Received: quantized_io=True, "
            "which is int8. Pass `quantized_io='uint8'`.",
        ),
        (
            {"quantize": "int16x8", "quantized_io": True},
            "Argument `quantized_io` must be False for quantize='int16x8' and "
            "target='web': LiteRT.js takes float32, int32 or uint8 as inputs "
            "and outputs. Received: quantized_io=True, which is int16. Pass "
            "`quantized_io=False`.",
        ),
        (
            {"allow_select_tf_ops": True},
            "Argument `allow_select_tf_ops` must be False for target='web': "
            "LiteRT.js has no Flex delegate. Received: "
            "allow_select_tf_ops=True",
        ),
        (
            {"quantize": "int16x8", "quantized_io": "uint8", "target": None},
            "Argument `quantized_io` must be False or True, which is int16, "
            "for quantize='int16x8'. Received: quantized_io='uint8'",
        ),
        (
            {"quantize": "int8", "quantized_io": "int16", "target": None},
            "Argument `quantized_io` must be False, True, 'int8' or 'uint8'. "
            "Received: quantized_io='int16'",
        ),
    ],
)
def test_arguments_are_refused_before_the_conversion(
    tiny, tmp_path, arguments, message
):
    arguments = {"target": "web", "calibration_data": X, **arguments}
    with pytest.raises(ValueError) as error:
        to_litert(tiny, tmp_path / "m.tflite", **arguments)
    assert str(error.value) == message


@no_backend
def test_an_unknown_runtime_is_refused():
    known = ", ".join(map(repr, TARGETS)).rpartition(", ")
    for target in ("browser", 3, ["web"]):
        with pytest.raises(ValueError, match="Argument `target` must be None"):
            find_target(target)
    assert find_target(None) is None
    assert known[2] in repr(list(TARGETS))


@no_backend
@pytest.mark.parametrize("target", TARGETS)
def test_inputs_of_other_dtypes_are_refused_before_the_conversion(
    tmp_path, monkeypatch, target
):
    def convert(*_, **__):
        raise RuntimeError("reached")

    monkeypatch.setattr(litert_writer, "convert_model", convert)
    path = tmp_path / "m.tflite"
    dtypes = {"bool", "int64", "uint32", "float64"}
    for dtype in sorted(dtypes - {*TARGETS[target].io_dtypes}):
        x = keras.Input((3,), dtype=dtype, name="x")
        y = keras.ops.cast(x, "float32") * 2.0
        kind = "float32" if dtype == "float64" else "int32"
        with pytest.raises(ValueError) as error:
            to_litert(keras.Model(x, y), path, target=target)
        assert f"Received: input 'x' is {dtype}: " in str(error.value)
        assert f"`keras.Input(..., dtype={kind!r})`" in str(error.value)
    assert not path.exists()


@tensorflow
def test_outputs_of_other_dtypes_leave_the_old_file(tmp_path):
    x = keras.Input((3,), name="x")
    outputs = {
        "flag": x > 0.5,
        "wide": keras.ops.cast(x, "int64"),
        "half": keras.ops.cast(x, "float16"),
        "plain": x * 2.0,
        "class": keras.ops.cast(x, "int32"),
    }
    path = tmp_path / "m.tflite"
    path.write_text("old")
    with pytest.raises(ExportError) as error:
        to_litert(keras.Model(x, outputs), path, target="web", overwrite=True)
    text = str(error.value)
    for name, dtype, kind in (
        ("flag", "bool", "int32"),
        ("half", "float16", "float32"),
        ("wide", "int64", "int32"),
    ):
        remedy = f"return `keras.ops.cast(x, {kind!r})`"
        assert f"output {name!r} is {dtype}: {remedy}" in text
    assert text.count("output ") == 3
    assert [one.name for one in tmp_path.iterdir()] == ["m.tflite"]
    assert path.read_text() == "old"


@pytest.fixture(scope="module")
def net():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((6, 6, 1), name="x"),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


@tensorflow
@pytest.mark.filterwarnings("ignore:.*(saves nothing|differ by)")
@pytest.mark.parametrize(
    "quantize, io, dtype",
    [
        (None, False, "float32"),
        ("dynamic", False, "float32"),
        ("int8", "uint8", "uint8"),
        ("int16x8", False, "float32"),
    ],
)
def test_file_for_the_web_computes_as_the_free_one(
    net, tmp_path, quantize, io, dtype
):
    """The batch is fixed for each kind of file, and nothing else changes."""
    free, fixed = (
        to_litert(
            net,
            tmp_path / f"{target}.tflite",
            target=target,
            quantize=quantize,
            quantized_io=io,
            calibration_data=X,
        )
        for target in (None, "web")
    )
    assert free.inputs[0].shape == (None, 6, 6, 1) and free.target is None
    assert fixed.inputs[0].shape == (1, 6, 6, 1) and fixed.target == "web"
    assert fixed.outputs[0].shape == (1, 3)
    assert fixed.inputs[0].dtype == fixed.outputs[0].dtype == dtype
    note = "target='web': exported with a fixed batch of 1"
    assert fixed.notes[0] == note and note not in free.notes
    assert ("download" in str(fixed.notes)) == (quantize in ("dynamic", "int8"))
    assert "for web" in str(fixed)
    one, two = (TfliteModel(report.path) for report in (free, fixed))
    # Calibration draws other samples for a fixed batch.
    step = fixed.outputs[0].scale or 1e-6
    for x in X[:4, None]:
        np.testing.assert_allclose(
            two.run(x)["output_0"], one.run(x)["output_0"], atol=2 * step
        )


@tensorflow
def test_a_batch_of_the_signature_stays(net, tmp_path):
    signature = [keras.InputSpec(shape=(4, 6, 6, 1))]
    path = tmp_path / "m.tflite"
    report = to_litert(net, path, target="web", input_signature=signature)
    assert report.inputs[0].shape == (4, 6, 6, 1) and report.notes == ()


def test_other_free_axes_need_a_signature(tmp_path):
    model = keras.Sequential([keras.Input((None, 4)), layers.Dense(2)])
    with pytest.raises(ValueError, match="target='web' requires axes of known"):
        to_litert(model, tmp_path / "m.tflite", target="web")
