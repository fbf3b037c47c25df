"""Writes a verified file as `to_litert` does, by the shortest way."""

from typing import Any

import keras

from keras_netopt.export.converter_choice import choose_converter, find_fixing
from keras_netopt.export.exportable_model import ExportableModel, prepare_model
from keras_netopt.export.frozen_conversion import can_freeze, convert_frozen
from keras_netopt.export.litert_writer import LitertWriter
from keras_netopt.export.low_bit_quantizer import (
    LOW_BITS,
    check_grids,
    check_quantizer,
    write_low_bits,
)
from keras_netopt.export.model_runs import ModelRuns
from keras_netopt.export.output_files import open_temporary_files
from keras_netopt.export.quantization_mode import MODES
from keras_netopt.export.sample_split import split_samples
from keras_netopt.export.trained_ranges import has_trained_ranges, use_ranges
from keras_netopt.files import put_in_place


def write_verified(
    model: keras.Model,
    path: str,
    quantize: str | None,
    *,
    samples: Any,
    quantized_io: bool | str = False,
    seed: int = 0,
) -> list[str]:
    """Writes a compact file and verifies it; an old one is replaced.

    A model with activation ranges is not calibrated again, unless the file
    would compute partly in float without; and no float32 file is written
    beside to compare the bytes with.

    Args:
        model: A built model.
        path: The file.
        quantize: As in `to_litert`.
        samples: Inputs in a form of `calibration_data`. They verify the file,
            and calibrate that of a model without ranges.
        quantized_io: As in `to_litert`.
        seed: Seed of chosen samples.

    Returns:
        The warnings that `to_litert` would give.

    Raises:
        ExportError: If the converter refuses the model, the file does not
            run, or its outputs differ.
        ValueError: If kernels are off the grid of `"int4"` or `"int2"`.
        ImportError: If the quantizer of those is not installed.
    """
    if quantize in LOW_BITS:
        check_quantizer()
    chosen = choose_converter()
    exportable = prepare_model(model, fixed_for=find_fixing(chosen))
    if quantize in LOW_BITS:
        check_grids(exportable.model, LOW_BITS[quantize])
    is_ranged = has_trained_ranges(model, quantize)
    needs_data = quantize is not None and MODES[quantize].needs_data
    for is_calibrated in (needs_data and not is_ranged, needs_data):
        split = split_samples(
            exportable, samples, calibrate=is_calibrated, seed=seed
        )
        writer = LitertWriter(
            exportable,
            split,
            quantize,
            False,
            chosen,
            is_ranged=is_ranged,
            is_calibrated=is_calibrated,
            measures_float=False,
        )
        with (
            use_ranges(exportable.model, quantize),
            open_temporary_files(path) as (plain, final),
            ModelRuns(exportable, split.verification) as runs,
        ):
            if can_freeze(model, quantize) and not is_calibrated:
                _write_frozen(exportable, plain, final, quantize, quantized_io)
            else:
                writer.write(plain, final, quantized_io, False)
            writer.compact(final, runs)
            writer.verify(final, runs)
            is_float = needs_data and _computes_in_float(writer, quantized_io)
            if is_calibrated or not is_float:
                put_in_place(final, path)
                break
    return [*exportable.warnings, *split.warnings, *writer.warnings]


def _write_frozen(
    exportable: ExportableModel,
    plain: str,
    final: str,
    quantize: str | None,
    quantized_io: bool | str,
) -> None:
    content = convert_frozen(exportable, quantize, quantized_io)
    with open(plain if quantize in LOW_BITS else final, "wb") as file:
        file.write(content)
    if quantize in LOW_BITS:
        write_low_bits(plain, final, LOW_BITS[quantize])


def _computes_in_float(writer: LitertWriter, quantized_io: bool | str) -> bool:
    """Whether the file converts numbers elsewhere than at its ends."""
    ends = len(writer.exportable.names) if not quantized_io else 0
    if quantized_io == "uint8":
        return False
    return writer.ops.get("QUANTIZE", 0) > ends
