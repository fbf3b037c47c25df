"""Writes files whose size or latency is asked for, and nothing else."""

import os
from typing import Any

import keras

from keras_netopt.export.compact_file import compact_content
from keras_netopt.export.converter_choice import choose_converter, find_fixing
from keras_netopt.export.exportable_model import prepare_model
from keras_netopt.export.frozen_conversion import can_freeze, convert_frozen
from keras_netopt.export.litert_writer import LitertWriter
from keras_netopt.export.low_bit_quantizer import LOW_BITS, write_low_bits
from keras_netopt.export.sample_split import split_samples
from keras_netopt.export.trained_ranges import has_trained_ranges, use_ranges


def write_unverified(
    model: keras.Model,
    path: str,
    quantize: str | None = None,
    *,
    sparse: bool = False,
    compact: bool = False,
    quantized_io: bool | str = False,
    input_signature: Any = None,
    fixed_for: str | None = None,
    keep_float: bool = False,
) -> None:
    """Writes the file of a model as `to_litert` does, without its checks.

    Calibration uses random numbers, which change scales but no sizes;
    kernels off the grid of `"int4"` or `"int2"` stay float. The options are
    those of `to_litert`; `fixed_for` is who asks for fixed axes, by default
    the converter. With `keep_float`, the float file of a quantized one is at
    `path` + ".float".

    Raises:
        ExportError: If the model cannot be converted.
    """
    converter = choose_converter(sparse=sparse)
    exportable = prepare_model(
        model,
        input_signature=input_signature,
        fixed_for=fixed_for or find_fixing(converter),
    )
    is_ranged = has_trained_ranges(model, quantize)
    writer = LitertWriter(
        exportable,
        split_samples(exportable),
        quantize,
        sparse,
        converter,
        is_ranged=is_ranged,
        is_calibrated=not is_ranged,
        measures_float=keep_float,
    )
    with use_ranges(exportable.model, quantize):
        writer.write(f"{path}.float", path, quantized_io, False)
    if compact:
        _compact(path)


def write_quickly(
    model: keras.Model,
    path: str,
    quantize: str | None = None,
    *,
    quantized_io: bool | str = False,
) -> None:
    """Writes a compact file, not verified, by the shortest way there is.

    The options are those of `to_litert`.

    Raises:
        ExportError: If the model cannot be converted.
    """
    if not can_freeze(model, quantize):
        write_unverified(
            model, path, quantize, compact=True, quantized_io=quantized_io
        )
        return
    content = convert_frozen(prepare_model(model), quantize, quantized_io)
    plain = f"{path}.float" if quantize in LOW_BITS else path
    with open(plain, "wb") as file:
        file.write(content)
    if quantize in LOW_BITS:
        write_low_bits(plain, path, LOW_BITS[quantize])
        os.unlink(plain)
    _compact(path)


def _compact(path: str) -> None:
    with open(path, "rb") as file:
        content = compact_content(file.read())
    with open(path, "wb") as file:
        file.write(content)
