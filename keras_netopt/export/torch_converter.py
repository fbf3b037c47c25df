"""Converts a model of the torch backend with litert-torch.

Private name of Keras 3.15: none. Measured with litert-torch 0.10.
"""

import contextlib
import importlib
import io
import os
import warnings
from collections.abc import Iterator
from typing import Any

import keras

from keras_netopt.cost.native_stderr import hide_native_stderr
from keras_netopt.export.converter_process import ConverterProcess
from keras_netopt.export.export_error import ExportError
from keras_netopt.export.exportable_model import ExportableModel
from keras_netopt.export.file_quantizer import quantize_file
from keras_netopt.export.input_samples import (
    Samples,
    iterate_batches,
    pack_inputs,
)
from keras_netopt.export.rebuild_error import find_reason
from keras_netopt.export.uint8_io import use_uint8_io

FLOAT = "float.tflite"


def convert_torch_model(
    exportable: ExportableModel,
    path: str,
    *,
    folder: str,
    quantize: str | None = None,
    samples: Samples | None = None,
    process: ConverterProcess | None = None,
    quantized_io: bool | str = False,
    allow_select_tf_ops: bool = False,
) -> None:
    """Does for litert-torch what `convert_model` does for TensorFlow.

    `folder` is empty, or holds the float file of an earlier call. A quantized
    file is made of the float file by ai-edge-quantizer, which litert-torch
    requires.
    """
    del process, allow_select_tf_ops  # Of TensorFlow.
    source = os.path.join(folder, FLOAT)
    try:
        if not os.path.exists(source):
            _write_float(exportable, source)
        if quantize is None:
            content = _read(source)
        else:
            batches = list(iterate_batches(exportable, samples or []))
            with _silence():
                content = quantize_file(
                    _read(source), quantize, batches, bool(quantized_io)
                )
            if quantized_io == "uint8":
                content = use_uint8_io(content)
    except OSError:
        raise
    # The converter, and the model's own code while it is traced, may raise
    # anything.
    except Exception as error:
        kind, reason = type(error).__name__, find_reason(str(error))
        raise ExportError(
            f"litert-torch refused the model: {kind}: {reason}. Pass "
            "converter='tensorflow', which converts more layers."
        ) from error
    with open(path, "wb") as file:
        file.write(content)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _write_float(exportable: ExportableModel, path: str) -> None:
    import torch

    class Signature(torch.nn.Module):
        """Takes and returns tensors by their names in the file."""

        def __init__(self) -> None:
            super().__init__()
            self.model = exportable.model

        def forward(self, **inputs: Any) -> dict[str, Any]:
            packed = pack_inputs(exportable, inputs)
            outputs = self.model(*packed, training=False)
            if isinstance(outputs, dict):
                return dict(outputs)
            flat = keras.tree.flatten(outputs)
            return {f"output_{k}": value for k, value in enumerate(flat)}

    inputs = {
        name: torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype))
        for name, spec in exportable.specs.items()
    }
    module = Signature()
    with _silence(), _jax_x64(), _inference(module), keras.device("cpu"):
        converter = importlib.import_module("litert_torch")
        converter.convert(module, sample_kwargs=inputs).export(path)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keeps the progress that the converter prints off the screen."""
    with (
        warnings.catch_warnings(),
        hide_native_stderr(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _jax_x64() -> Iterator[None]:
    """Undoes that litert-torch sets JAX's 64-bit mode when it is imported."""
    jax = importlib.import_module("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", before)


@contextlib.contextmanager
def _inference(module: Any) -> Iterator[None]:
    """Puts a module on the CPU and in inference mode, and undoes both."""
    import torch

    modes = {part: part.training for part in module.modules()}
    tensors = [*module.parameters(), *module.buffers()]
    places = [tensor.device for tensor in tensors]
    try:
        module.eval()
        for tensor in tensors:
            tensor.data = tensor.data.to("cpu")
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode
        for tensor, place in zip(tensors, places, strict=True):
            tensor.data = tensor.data.to(place)
