"""The files: one network in one form each."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.micro import nets
from keras_netopt import depth, export, quantization
from keras_netopt.export import verification

SEED = 0
SAMPLES = 64


def make_inputs(model: keras.Model, count: int) -> Any:
    """Seeded inputs in [0, 1), or integers."""
    rng = np.random.default_rng(SEED)
    found = {}
    for tensor in model.inputs:
        shape = (count, *tensor.shape[1:])
        if "int" in tensor.dtype:
            found[tensor.name] = rng.integers(0, 100, shape).astype("int32")
        else:
            # Samples of different brightness give different outputs.
            size = rng.random((count,) + (1,) * (len(shape) - 1), "float32")
            found[tensor.name] = size * rng.random(shape, "float32")
    return found if len(found) > 1 else next(iter(found.values()))


@dataclass(frozen=True)
class Case:
    """One file, or the files of a folder.

    Args:
        net: The network, as the table names it.
        form: How it is exported, as the table names it.
        build: Returns the model.
        options: Arguments of `to_litert`.
        prepare: Changes the model; gets its inputs too.
        inputs: Returns as many inputs of the model.
        free_batch: Whether the batch axis stays free.
        write: Another function that writes the files; gets model, inputs and
            path.
    """

    net: str
    form: str
    build: Callable[[], keras.Model]
    options: dict[str, Any] = field(default_factory=dict)
    prepare: Callable[[keras.Model, Any], None] = nets.spread
    inputs: Callable[[keras.Model, int], Any] = make_inputs
    free_batch: bool = False
    write: Callable[[keras.Model, Any, Path], None] | None = None

    def write_files(self, folder: Path) -> Iterator[tuple[Path, Any]]:
        """Writes the files; yields each with its inputs, if known."""
        keras.utils.set_random_seed(SEED)
        model = self.build()
        data = self.inputs(model, SAMPLES)
        self.prepare(model, data)
        path = folder / "m.tflite"
        if self.write is not None:
            with accept_any():
                self.write(model, data, path)
            for one in sorted(folder.rglob("*.tflite")):
                is_whole = one == path or one.stem == "stage_0"
                yield one, data if is_whole else None
            return
        signature = None if self.free_batch else fix_batch(model)
        needs = self.options.get("quantize") in ("int8", "int16x8")
        arguments = {"calibration_data": data} if needs else {}
        with accept_any():
            export.to_litert(
                model,
                path,
                input_signature=signature,
                **{**arguments, **self.options},
            )
        yield path, data


@contextlib.contextmanager
def accept_any() -> Iterator[None]:
    """Writes integer files of networks with random weights, too.

    Rounding adds up in them, so that some files differ much from the model.
    """
    limits = verification.MAX_RELATIVE, verification.MIN_AGREEMENT
    verification.MAX_RELATIVE, verification.MIN_AGREEMENT = np.inf, 0.0
    try:
        yield
    finally:
        verification.MAX_RELATIVE, verification.MIN_AGREEMENT = limits


def fix_batch(model: keras.Model) -> list[keras.InputSpec]:
    """The signature with a batch of 1."""
    return [
        keras.InputSpec(shape=(1, *one.shape[1:]), dtype=one.dtype)
        for one in model.inputs
    ]


def _prune(model: keras.Model, data: Any) -> None:
    nets.zero_weights(model, 0.8)


def _grid(bits: int) -> Callable[[keras.Model, Any], None]:
    return lambda model, data: quantization.quantize(model, bits=bits)


def _train_ranges(model: keras.Model, data: Any) -> None:
    """Sets activation ranges in an epoch that changes no weight."""
    model.compile(keras.optimizers.SGD(0.0), "mse")
    quantization.ActivationRanges.attach(model)
    targets = np.zeros((SAMPLES, *model.output.shape[1:]), "float32")
    model.fit(data, targets, batch_size=16, verbose=0)


def _exits(single_file: bool, **options: Any) -> Callable[..., None]:
    def write(model: keras.Model, data: Any, path: Path) -> None:
        y = np.random.default_rng(SEED).integers(0, 10, len(data))
        exit_model = depth.add_exits(model, layers=[model.layers[2].name])
        exit_model.compile("sgd", "sparse_categorical_crossentropy")
        exits = depth.calibrate(exit_model, data, y, max_accuracy_drop=0.5)
        target = path if single_file else path.parent / "stages"
        more = {"validation_data": (data, y)} if options else {}
        exits.export(target, single_file=single_file, **options, **more)

    return write


def _mobile(form: str, options: dict[str, Any]) -> Case:
    """The trained network."""
    return Case(
        "MobileNetV2 .35, 96x96",
        form,
        nets.trained_mobilenet,
        options,
        prepare=lambda model, data: None,
        inputs=nets.images,
    )


def _small() -> keras.Model:
    return nets.cnn(4, softmax=True)


def _large() -> keras.Model:
    return nets.cnn(32)


INT8 = {"quantize": "int8"}
INTEGERS = {"quantize": "int8", "quantized_io": True}
COMPACT = {**INTEGERS, "compact": True}
CNN, BIG = "CNN, 4 to 16 filters", "CNN, 32 to 128 filters"
KWS = "DS-CNN keyword spotter"
BLOCK, RESIDUAL = "transformer block", "residual, depthwise"
EXITS = "CNN with one early exit"

CASES = (
    Case(CNN, "float32", _small),
    Case(CNN, "float32, free batch", _small, free_batch=True),
    Case(CNN, "int8, float io", _small, INT8),
    Case(CNN, "int8", _small, INTEGERS),
    Case(CNN, "int8, uint8 io", _small, {**INT8, "quantized_io": "uint8"}),
    Case(CNN, "int8, compact", _small, COMPACT),
    Case(CNN, "int8, trained ranges", _small, INTEGERS, _train_ranges),
    Case(CNN, "int16x8", _small, {"quantize": "int16x8"}),
    Case(CNN, "float16", _small, {"quantize": "float16"}),
    Case(BIG, "float32", _large),
    Case(BIG, "int8", _large, INTEGERS),
    Case(BIG, "int16x8", _large, {"quantize": "int16x8"}),
    Case(BIG, "dynamic", _large, {"quantize": "dynamic"}),
    Case(BIG, "sparse", _large, {"sparse": True}, _prune),
    Case(BIG, "int4", _large, {"quantize": "int4"}, _grid(4)),
    Case(BIG, "int2", _large, {"quantize": "int2"}, _grid(2)),
    Case(RESIDUAL, "float32", nets.residual),
    Case(RESIDUAL, "int8", nets.residual, INTEGERS),
    Case("two inputs, two outputs", "float32", nets.two_inputs),
    Case("two inputs, two outputs", "int8", nets.two_inputs, INTEGERS),
    Case(KWS, "float32", nets.keyword_spotter),
    Case(KWS, "int8", nets.keyword_spotter, COMPACT),
    _mobile("float32", {}),
    _mobile("int8", INTEGERS),
    _mobile("int8, compact", COMPACT),
    Case(BLOCK, "float32", nets.transformer),
    Case(BLOCK, "int8", nets.transformer, INTEGERS),
    Case("LSTM", "float32", lambda: nets.recurrent("LSTM")),
    Case("LSTM", "int8", lambda: nets.recurrent("LSTM"), INTEGERS),
    Case("GRU", "float32", lambda: nets.recurrent("GRU")),
    Case("dense with gelu", "float32", nets.gelu),
    Case("dense with gelu", "int8", nets.gelu, INTEGERS),
    Case("eight activations", "float32", nets.activations),
    Case("eight activations", "int8", nets.activations, INTEGERS),
    Case("transposed convolution", "float32", nets.autoencoder),
    Case("transposed convolution", "int8", nets.autoencoder, INTEGERS),
    Case("convolutions over time", "int8", nets.sequence, INTEGERS),
    Case("embedding", "float32", nets.text),
    Case("embedding", "int8", nets.text, INTEGERS),
    Case("IF of two branches", "float32", nets.gate),
    Case(EXITS, "one file, float32", _small, write=_exits(True)),
    Case(EXITS, "stages, float32", _small, write=_exits(False)),
    Case(EXITS, "stages, int8", _small, write=_exits(False, quantize="int8")),
)
