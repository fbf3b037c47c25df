"""Writes the LiteRT file of a quantized twin and verifies it."""

import contextlib
import os
import tempfile
import warnings
from dataclasses import dataclass, replace
from typing import Any

import keras

from keras_netopt.export.convert_model import convert_model, measure_file
from keras_netopt.export.converter_process import ConverterProcess
from keras_netopt.export.exportable_model import ExportableModel, prepare_model
from keras_netopt.export.litert_report import LitertReport
from keras_netopt.export.litert_writer import LitertWriter
from keras_netopt.export.model_runs import ModelRuns
from keras_netopt.export.output_files import check_target, open_temporary_files
from keras_netopt.export.quantization_mode import check_quantization
from keras_netopt.export.sample_split import split_samples
from keras_netopt.files import put_in_place
from keras_netopt.graph.model_graph import inner_graph, output_structure
from keras_netopt.tf_keras_bridge.compare_models import run_twin

MODE = "int8"


def write_twin(
    training: Any,
    path: str | os.PathLike[str],
    *,
    calibration_data: Any,
    quantized_io: bool | str,
    overwrite: bool,
    seed: int,
    told: tuple[str, ...],
) -> LitertReport:
    """Writes the file of a `QuantizedTwin`; see its `to_litert`.

    `told` are the warnings about the training.
    """
    target = check_target(path, overwrite)
    check_quantization(
        MODE,
        sparse=False,
        calibration_data=calibration_data,
        quantized_io=quantized_io,
        has_ranges=True,
    )
    exportable = prepare_model(training.to_keras())
    calibrates = bool(training.skipped) and calibration_data is not None
    samples = split_samples(
        exportable, calibration_data, calibrate=calibrates, seed=seed
    )
    writer = LitertWriter(exportable, samples, MODE, False, "tensorflow")
    writer.notes += [*exportable.notes, *samples.notes]
    writer.notes += _describe_skipped(training)
    writer.warnings += [*exportable.warnings, *samples.warnings]
    writer.warnings += [f"{one}." for one in told]
    structure = output_structure(inner_graph(training.bridge.source))
    runnable = replace(
        exportable, model=RunnableTwin(training.model, structure)
    )
    with (
        open_temporary_files(target) as (plain, final),
        ModelRuns(runnable, samples.verification) as runs,
        contextlib.ExitStack() as stack,
    ):
        process = (
            stack.enter_context(ConverterProcess()) if calibrates else None
        )
        files: tuple[tuple[Any, str, dict[str, Any]], ...] = (
            (training.strip(), plain, {}),
            (
                training.model,
                final,
                {
                    "quantize": MODE,
                    "samples": samples.calibration if calibrates else None,
                    "process": process,
                    "quantized_io": quantized_io,
                },
            ),
        )
        for model, file, options in files:
            with tempfile.TemporaryDirectory() as folder:
                _write_saved_model(model, structure, exportable, folder)
                convert_model(exportable, file, folder=folder, **options)
        writer.float_size = measure_file(plain)
        writer.verify(final, runs)
        put_in_place(final, target)
    for warning in writer.warnings:
        warnings.warn(f"{target}: {warning}", stacklevel=3)
    return writer.report(target)


@dataclass
class RunnableTwin:
    """A model of tf_keras that is called like one of Keras 3.

    Args:
        model: The model of tf_keras.
        structure: The outputs of the model of Keras 3.
    """

    model: Any
    structure: Any
    non_trainable_variables: tuple[Any, ...] = ()
    weights: tuple[Any, ...] = ()

    def __call__(self, *inputs: Any, training: bool = False) -> Any:
        """Returns arrays in the structure of the outputs."""
        del training
        flat = run_twin(self.model, keras.tree.flatten(inputs))
        return keras.tree.pack_sequence_as(self.structure, flat)


def _write_saved_model(
    model: Any, structure: Any, exportable: ExportableModel, folder: str
) -> None:
    """Writes a model of tf_keras with the signature of the Keras model."""
    import tensorflow as tf

    specs = [
        tf.TensorSpec(spec.shape, spec.dtype, name)
        for name, spec in exportable.specs.items()
    ]

    @tf.function(input_signature=specs)
    def serve(*inputs: Any) -> dict[str, Any]:
        outputs = model(
            inputs[0] if len(inputs) == 1 else list(inputs), training=False
        )
        flat = keras.tree.flatten(outputs)
        packed = keras.tree.pack_sequence_as(structure, flat)
        if isinstance(packed, dict):
            return dict(packed)
        return {f"output_{k}": one for k, one in enumerate(flat)}

    module = tf.Module()
    # The variables alone: the layers would be traced each on its own.
    module.kept = list(model.variables)
    tf.saved_model.save(module, folder, signatures={"serving_default": serve})


def _describe_skipped(training: Any) -> list[str]:
    if not training.skipped:
        return []
    names = [one.layer for one in training.skipped]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return [f"tfmot skipped {', '.join(names[:5])}{more}"]
