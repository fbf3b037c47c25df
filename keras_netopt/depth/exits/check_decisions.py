"""Compares the predictions and exits of exported files with Keras."""

import numpy as np

from keras_netopt.depth.exits import device_runner
from keras_netopt.depth.exits.calibrated_stages import CalibratedStages
from keras_netopt.depth.exits.exit_calibration import ExitCalibration
from keras_netopt.depth.exits.stage_runner import Arrays, StageRunner
from keras_netopt.export.export_error import ExportError

SCORE_TOLERANCE = 1e-5  # Rounding may move a score this far.
TOLERANCE = 1e-4


def check_decisions(
    exits: CalibratedStages,
    calibration: ExitCalibration,
    folder: str,
    inputs: Arrays,
    *,
    exact: bool,
) -> list[int]:
    """Runs the exported folder sample by sample, as a device does.

    With `exact`, predictions and exits must equal those of Keras. Returns the
    exit index of each sample.
    """
    device = device_runner.DeviceRunner(folder)
    count = len(next(iter(inputs.values())))
    expected, exit_of = StageRunner(exits.stages, calibration.rule).run(inputs)
    thresholds = np.array(calibration.rule.thresholds[:-1])
    gaps = np.abs(exits.exit_scores(inputs)[:, :-1] - thresholds)
    is_clear = gaps.min(axis=1, initial=np.inf) > SCORE_TOLERANCE
    indices = []
    for k in range(count):
        sample = {name: array[k : k + 1] for name, array in inputs.items()}
        prediction, index = device.run(sample)
        indices.append(index)
        if not exact or not is_clear[k]:
            continue
        gap = float(np.abs(prediction[0] - expected[k]).max())
        limit = TOLERANCE * max(1.0, float(np.abs(expected[k]).max()))
        if index != exit_of[k] or gap > limit:
            raise ExportError(
                f"The exported files differ from the model: sample {k} takes "
                f"exit {index} instead of {exit_of[k]}, and its prediction "
                f"differs by {gap:.3g}. Please report this with the model."
            )
    return indices
