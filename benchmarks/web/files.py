"""Writes one file of each kind, and what the interpreter computes with it."""

import json
import re
import time
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

import keras_netopt as netopt
from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.datasets import FASHION_CLASSES, fashion_mnist_sample
from keras_netopt.depth.exits.device_runner import DeviceRunner
from keras_netopt.export.write_web_page import pack_array

SAMPLES = 8  # Of each file.
SHOWN = 24  # On the page.
Options = dict[str, Any]


def make_cnn() -> keras.Model:
    """Three convolutions and two dense layers, with a softmax."""
    x = inputs = keras.Input((28, 28, 1), name="image")
    for k, (filters, stride) in enumerate(((16, 1), (32, 2), (64, 2))):
        x = layers.Conv2D(
            filters, 3, stride, "same", activation="relu", name=f"conv_{k}"
        )(x)
    x = layers.Flatten()(x)
    x = layers.Dense(64, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def make_depthwise() -> keras.Model:
    """Depthwise convolutions, a residual, pooling and a concatenation."""
    inputs = keras.Input((28, 28, 1), name="image")
    x = layers.Conv2D(16, 3, 2, "same")(inputs)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    x = layers.Concatenate()([layers.Conv2D(16, 1)(y) + x, y])
    x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D()(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def make_two_inputs() -> keras.Model:
    """Two named inputs and two named outputs."""
    image = keras.Input((28, 28, 1), name="image")
    extra = keras.Input((5,), name="extra")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3)(image))
    x = layers.Concatenate()([x, layers.Dense(4)(extra)])
    outputs = {"wide": layers.Dense(7)(x), "small": layers.Dense(3)(x)}
    return keras.Model({"image": image, "extra": extra}, outputs)


def make_lstm() -> keras.Model:
    """An LSTM over the rows of an image, and a table of embeddings."""
    rows = keras.Input((28, 28), name="rows")
    token = keras.Input((4,), dtype="int32", name="token")
    x = layers.LSTM(32)(rows)
    y = layers.Flatten()(layers.Embedding(50, 8)(token))
    x = layers.Dense(10)(layers.Concatenate()([x, y]))
    return keras.Model({"rows": rows, "token": token}, x)


def make_cast(dtype: str) -> keras.Model:
    """An output of a dtype."""
    x = keras.Input((6,), name="x")
    return keras.Model(x, keras.ops.cast(x * 2.0, dtype))


def write_files(folder: Path, epochs: int) -> None:
    """Writes files and `manifest.json` to a folder, and a page below it."""
    warnings.filterwarnings("ignore", category=UserWarning)
    keras.utils.set_random_seed(0)
    (x, y), (x_test, y_test) = fashion_mnist_sample()
    x, x_test = (a[..., None].astype("float32") / 255 for a in (x, x_test))
    rng = np.random.default_rng(0)
    made: dict[str, keras.Model] = {}
    for name, build in (("cnn", make_cnn), ("depthwise", make_depthwise)):
        made[name] = build()
        made[name].compile("adam", "sparse_categorical_crossentropy")
        made[name].fit(x, y, batch_size=64, epochs=epochs, verbose=0)
    made["two inputs"], made["lstm"] = make_two_inputs(), make_lstm()
    feeds = {
        "cnn": {"image": x_test},
        "depthwise": {"image": x_test},
        "two inputs": {
            "image": x_test,
            "extra": rng.random((1000, 5), "float32"),
        },
        "lstm": {
            "rows": x_test[..., 0],
            "token": rng.integers(0, 50, (1000, 4), "int32"),
        },
        "cast": {"x": rng.random((1000, 6), "float32")},
    }
    entries: list[dict[str, Any]] = []

    def add(
        row: str, model: keras.Model, kind: str, refused: str = "", **o: Any
    ) -> None:
        path = folder / f"{_file_name(row)}.tflite"
        data = feeds[kind]
        report = netopt.export.to_litert(
            model,
            path,
            calibration_data=None if kind == "cast" else data,
            overwrite=True,
            **o,
        )
        entries.append(
            {
                "name": row,
                "file": path.name,
                "bytes": report.size.raw,
                "gzip": report.size.gzip,
                "ops": report.ops,
                "refused": refused,
                **run_in_python(path, data),
            }
        )
        print(f"{row}: {report.size.raw:,} bytes", flush=True)

    for row, model, kind, options in _kinds(made):
        add(row, model, kind, target="web", **options)
    for row, model, kind, reason, options in _refusals(made):
        add(row, model, kind, reason, **options)
    page = folder / "page"
    netopt.export.write_web_page(
        folder / "cnn_int8_uint8_io.tflite",
        page,
        x_test[:SHOWN],
        y=y_test[:SHOWN],
        class_names=FASHION_CLASSES,
        overwrite=True,
    )
    lite = TfliteModel(page / "model.tflite")
    right = sum(
        int(lite.run(x_test[k : k + 1])["output_0"].argmax() == y_test[k])
        for k in range(SHOWN)
    )
    stages = _write_exits(made["cnn"], folder, (x, y), x_test)
    manifest = {"files": entries, "stages": stages, "right": right}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _kinds(
    made: dict[str, keras.Model],
) -> list[tuple[str, keras.Model, str, Options]]:
    cnn = made["cnn"]
    sparse = keras.models.clone_model(cnn)
    sparse.set_weights(cnn.get_weights())
    netopt.sparsity.prune(sparse, 0.8)
    grids = {}
    for bits in (4, 2):
        grids[bits] = keras.models.clone_model(cnn)
        grids[bits].set_weights(cnn.get_weights())
        netopt.quantization.quantize(grids[bits], bits=bits)
    int8 = {"quantize": "int8"}
    unsigned = {**int8, "quantized_io": "uint8"}
    return [
        ("cnn float", cnn, "cnn", {}),
        ("cnn float16", cnn, "cnn", {"quantize": "float16"}),
        ("cnn dynamic", cnn, "cnn", {"quantize": "dynamic"}),
        ("cnn int8, float io", cnn, "cnn", int8),
        ("cnn int8, uint8 io", cnn, "cnn", unsigned),
        (
            "cnn int8, uint8 io, compact",
            cnn,
            "cnn",
            unsigned | {"compact": True},
        ),
        ("cnn int16x8", cnn, "cnn", {"quantize": "int16x8"}),
        ("cnn int4", grids[4], "cnn", {"quantize": "int4"}),
        ("cnn int2", grids[2], "cnn", {"quantize": "int2"}),
        ("cnn sparse, 80 % zeros", sparse, "cnn", {"sparse": True}),
        ("depthwise float", made["depthwise"], "depthwise", {}),
        ("depthwise int8, uint8 io", made["depthwise"], "depthwise", unsigned),
        ("two inputs float", made["two inputs"], "two inputs", {}),
        (
            "two inputs int8, uint8 io",
            made["two inputs"],
            "two inputs",
            unsigned,
        ),
        ("lstm and embedding float", made["lstm"], "lstm", {}),
        (
            "lstm and embedding dynamic",
            made["lstm"],
            "lstm",
            {"quantize": "dynamic"},
        ),
        ("int32 output", make_cast("int32"), "cast", {}),
        ("uint8 output", make_cast("uint8"), "cast", {}),
    ]


def _refusals(
    made: dict[str, keras.Model],
) -> list[tuple[str, keras.Model, str, str, Options]]:
    """Files without `target="web"`, and what is wrong with them."""
    cnn = made["cnn"]
    int8 = {"quantize": "int8", "quantized_io": True}
    int16 = {"quantize": "int16x8", "quantized_io": True}
    one = {"input_signature": [keras.InputSpec(shape=(1, 28, 28, 1))]}
    six = {"input_signature": [keras.InputSpec(shape=(1, 6))]}
    return [
        ("free batch", cnn, "cnn", "free batch", {}),
        ("int8 io", cnn, "cnn", "int8 io", int8 | one),
        ("int16 io", cnn, "cnn", "int16 io", int16 | one),
        ("bool output", make_cast("bool"), "cast", "bool output", six),
        ("int64 output", make_cast("int64"), "cast", "int64 output", six),
        ("float16 output", make_cast("float16"), "cast", "float16 output", six),
    ]


def _write_exits(
    cnn: keras.Model,
    folder: Path,
    data: tuple[np.ndarray, np.ndarray],
    x_test: np.ndarray,
) -> dict[str, Any]:
    """Writes a folder of stages and a single file with two exits."""
    x, y = data
    model = netopt.depth.add_exits(cnn, layers=["conv_1"])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x[:5000], y[:5000], batch_size=64, epochs=1, verbose=0)
    exits = netopt.depth.calibrate(
        model, x[5000:], y[5000:], max_accuracy_drop=0.02
    )
    rows: dict[str, Any] = {}
    for name, options in (
        ("exits, folder", {}),
        ("exits, folder int8", {"quantize": "int8"}),
        ("exits, single file", {"single_file": True}),
    ):
        path = folder / _file_name(name)
        if "single_file" in options:
            path = path.with_suffix(".tflite")
        exits.export(path, target="web", overwrite=True, **options)
        rows[name] = _run_exits(path, x_test[:100])
    return rows


def _file_name(row: str) -> str:
    return re.sub(r"\W+", "_", row)


def _run_exits(path: Path, x: np.ndarray) -> dict[str, Any]:
    rows: list[tuple[np.ndarray, int]] = []
    if path.suffix:
        lite = TfliteModel(path)
        files = [path]
        for k in range(len(x)):
            found = lite.run(x[k : k + 1])
            rows.append((found["logits"], int(found["exit"][0])))
        stages = None
    else:
        runner = DeviceRunner(str(path))
        rows = [runner.run(x[k : k + 1]) for k in range(len(x))]
        files = sorted(path.glob("*.tflite"))
        stages = runner.settings
    return {
        "file": path.name,
        "bytes": sum(file.stat().st_size for file in files),
        "settings": stages,
        "inputs": {"image": pack_array(x)},
        "outputs": {"logits": pack_array(np.concatenate([p for p, _ in rows]))},
        "exits": [index for _, index in rows],
    }


def run_in_python(path: Path, data: Options) -> dict[str, Any]:
    """Returns samples and outputs of a file, as the file stores them."""
    lite = TfliteModel(path)
    inputs = {n: data[n][:SAMPLES] for n in lite.inputs}
    rows = [
        lite.run({n: a[k : k + 1] for n, a in inputs.items()})
        for k in range(SAMPLES)
    ]
    outputs = {
        n: info.encode(np.concatenate([row[n] for row in rows]))
        for n, info in lite.outputs.items()
    }
    encoded = {n: lite.inputs[n].encode(a) for n, a in inputs.items()}
    known = ("float32", "int32", "uint8")
    return {
        "inputs": {n: pack_array(a) for n, a in encoded.items()},
        "outputs": {
            n: pack_array(a)
            for n, a in outputs.items()
            if a.dtype.name in known
        },
    }


def time_in_python(
    path: Path, entry: dict[str, Any], blocks: int = 60
) -> float:
    """Returns milliseconds per call in the fastest block of calls."""
    lite = TfliteModel(path)
    call = {
        n: np.zeros((1, *one["shape"][1:]), one["dtype"])
        for n, one in entry["inputs"].items()
    }
    times = []
    for block in range(-2, blocks):
        start = time.perf_counter()
        for _ in range(10):
            lite.run(call)
        if block >= 0:
            times.append(100 * (time.perf_counter() - start))
    return float(np.min(times))
