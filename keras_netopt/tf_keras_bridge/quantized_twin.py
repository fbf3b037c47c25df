"""Quantization-aware training with tfmot, and its LiteRT file."""

import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_netopt.checks import check_bool
from keras_netopt.export.exportable_model import prepare_model
from keras_netopt.export.input_samples import Samples, make_samples
from keras_netopt.export.litert_report import LitertReport
from keras_netopt.tf_keras_bridge.activation_ranges import (
    calibrate_ranges,
    refresh_weight_ranges,
    remaining_start,
)
from keras_netopt.tf_keras_bridge.annotate_twin import quantize_twin
from keras_netopt.tf_keras_bridge.bridge_error import BridgeError
from keras_netopt.tf_keras_bridge.compare_models import run_twin
from keras_netopt.tf_keras_bridge.kernel_report import (
    TwinReport,
    report_kernels,
)
from keras_netopt.tf_keras_bridge.obstacle import Obstacle
from keras_netopt.tf_keras_bridge.quantize_refusals import find_refusals
from keras_netopt.tf_keras_bridge.quantize_scheme import make_scheme
from keras_netopt.tf_keras_bridge.twin_litert import write_twin
from keras_netopt.tf_keras_bridge.twin_training import TwinTraining
from keras_netopt.warnings import NoEffectWarning, NotIntendedUseWarning

PRESERVE = (None, "sparsity", "clusters", "both")
RANGE_SAMPLES, RANGE_BATCH = 256, 32
MOST_VALUES = 256  # Of a kernel that counts as clustered.
LITTLE_START = 0.05


class QuantizedTwin(TwinTraining):
    """A model of tf_keras in quantization-aware training of 8 bits.

    `TfmotBridge.quantize` makes one.

    Args:
        bridge: The crossing of the source.
        preserve: As in `TfmotBridge.quantize`. Defaults to `None`.
        calibration_data: Likewise. Defaults to `None`.
        skip_unsupported: Likewise. Defaults to `False`.
    """

    def __init__(
        self,
        bridge: Any,
        *,
        preserve: str | None = None,
        calibration_data: Any = None,
        skip_unsupported: bool = False,
    ) -> None:
        if preserve not in PRESERVE:
            raise ValueError(
                f"Argument `preserve` must be one of {PRESERVE}. "
                f"Received: preserve={preserve!r}"
            )
        check_bool(skip_unsupported, "skip_unsupported")
        twin, scheme = bridge.new_twin(), make_scheme(preserve)
        refused = find_refusals(twin, scheme)
        if refused and not skip_unsupported:
            raise BridgeError(
                f"tfmot does not quantize {len(refused)} of the "
                f"{len(twin.layers)} layers of '{twin.name}':\n"
                + "\n".join(f"- {one}" for one in refused)
            )
        names = {one.layer for one in refused}
        if all(
            not layer.weights or layer.name in names for layer in twin.layers
        ):
            raise BridgeError(
                f"No layer of '{twin.name}' has weights that tfmot quantizes:\n"
                + "\n".join(f"- {one}" for one in refused)
            )
        self.preserve = preserve
        self.skipped: tuple[Obstacle, ...] = tuple(refused)
        self._is_calibrated = calibration_data is not None
        super().__init__(bridge, quantize_twin(twin, scheme, names))
        self._warn_of_nothing_to_keep()
        if calibration_data is not None:
            self._calibrate(calibration_data)

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Trains the model, as `tf_keras.Model.fit`; returns the history.

        Kernels are not clipped to the ranges from before the last update.
        """
        history = super().fit(*args, **kwargs)
        self._refresh()
        return history

    def to_litert(
        self,
        path: str | os.PathLike[str],
        *,
        calibration_data: Any = None,
        quantized_io: bool | str = False,
        overwrite: bool = False,
        seed: int = 0,
    ) -> LitertReport:
        """Writes the int8 LiteRT file, runs it and compares it.

        The file has the trained activation ranges. It is compared with the
        outputs of this model of tf_keras, whose activations are rounded
        likewise. Only a file that passes is moved to `path`.

        Args:
            path: The file to write, ending in `.tflite`.
            calibration_data: Real inputs in a form of `export.to_litert`, on
                which the file is compared; they also set the ranges of
                layers that were skipped. Defaults to `None`: compared on
                seeded random numbers, which say little.
            quantized_io: Whether inputs and outputs are integers too, as in
                `export.to_litert`. Defaults to `False`.
            overwrite: Whether to replace a file at `path`. Defaults to
                `False`.
            seed: Seed of random inputs and of chosen samples. Defaults to
                `0`.

        Returns:
            The report of `export.to_litert`.

        Raises:
            ExportError: If the converter refuses the model, or the file does
                not run or differs.
            ValueError: If an argument is out of range.
            OSError: If the file cannot be written.
        """
        self._refresh()
        return write_twin(
            self,
            path,
            calibration_data=calibration_data,
            quantized_io=quantized_io,
            overwrite=overwrite,
            seed=seed,
            told=self._tell(),
        )

    def report(self) -> TwinReport:
        """Reports zeros and values of each kernel, before and now.

        Returns:
            A table with one row per kernel, the layers that were skipped, and
            what was lost.
        """
        notes = tuple(
            f"skipped {one.layer}: {one.reason}" for one in self.skipped
        )
        found = report_kernels(self.model, self._start, self.strip(), notes)
        return TwinReport(found.kernels, (*notes, *self._tell(found)))

    def _tell(self, found: TwinReport | None = None) -> tuple[str, ...]:
        """Says what was lost in the training, and what has not begun."""
        told = []
        found = found or report_kernels(self.model, self._start, self.strip())
        if self.preserve in ("sparsity", "both") and found.lost_zeros:
            lost = [row.layer for row in found.kernels if row.lost_zeros]
            told.append(
                f"preserve={self.preserve!r}: {found.lost_zeros:,} zeros were "
                f"lost in {', '.join(lost[:5])}, which tfmot cannot keep"
            )
        if self.preserve in ("clusters", "both"):
            grown = [
                f"{row.layer} ({row.values_before} to {row.values} values)"
                for row in found.kernels
                if row.values > row.values_before <= MOST_VALUES
            ]
            if grown:
                told.append(
                    f"preserve={self.preserve!r}: clusters were lost in "
                    f"{', '.join(grown[:5])}, which tfmot does not cluster"
                )
        steps = self._count_steps()
        if not self._is_calibrated and remaining_start(steps) > LITTLE_START:
            told.append(
                f"after {steps:,} steps {remaining_start(steps):.0%} of each "
                "activation range is still tfmot's start, [-6, 6]: pass "
                "`calibration_data` to `quantize`"
            )
        return tuple(told)

    def _refresh(self) -> None:
        exportable = prepare_model(self.bridge.source)
        samples, _ = make_samples(exportable)
        inputs = next(_batches(samples, exportable.batch or RANGE_BATCH))
        refresh_weight_ranges(lambda: run_twin(self.model, inputs))

    def _count_steps(self) -> int:
        optimizer = getattr(self.model, "optimizer", None)
        return 0 if optimizer is None else int(optimizer.iterations)

    def _calibrate(self, data: Any) -> None:
        exportable = prepare_model(self.bridge.source)
        samples, _ = make_samples(exportable, data, limit=RANGE_SAMPLES)
        calibrate_ranges(
            _batches(samples, exportable.batch or RANGE_BATCH),
            run=lambda batch: run_twin(self.model, batch),
        )

    def _warn_of_nothing_to_keep(self) -> None:
        rows = report_kernels(self.model, self._start, self._start).kernels
        rows = tuple(row for row in rows if row.trained_as != "float")
        if self.preserve in ("sparsity", "both") and not any(
            row.zeros for row in rows
        ):
            warnings.warn(
                f"preserve={self.preserve!r} has no effect: no kernel holds "
                "zeros. Prune the model first, with `callbacks.Pruning`.",
                NoEffectWarning,
                stacklevel=4,
            )
        elif self.preserve in ("clusters", "both") and not any(
            row.values - 1 <= min(MOST_VALUES, row.size * (1 - row.zeros) / 2)
            for row in rows
        ):
            warnings.warn(
                f"preserve={self.preserve!r} keeps no clusters: each kernel "
                f"holds more than {MOST_VALUES} values, or hardly fewer than "
                "weights. Cluster the model first, with `cluster()` or "
                "`callbacks.Quantization(clusters=16)`.",
                NotIntendedUseWarning,
                stacklevel=4,
            )


def _batches(samples: Samples, size: int) -> Iterator[list[np.ndarray]]:
    """Yields full batches; the only one of a few samples may be smaller."""
    for arrays in samples:
        total = len(next(iter(arrays.values())))
        for start in range(0, max(total - size, 0) + 1, size):
            yield [array[start : start + size] for array in arrays.values()]
