"""An exit model, cut into stages, with its calibration."""

from typing import Any

import numpy as np

from keras_netopt.depth.exits.exit_calibration import ExitCalibration
from keras_netopt.depth.exits.exit_criteria import exit_scores
from keras_netopt.depth.exits.exit_model import ExitModel
from keras_netopt.depth.exits.fingerprint import (
    graph_fingerprint,
    weights_fingerprint,
)
from keras_netopt.depth.exits.model_stages import (
    ModelStages,
    split_into_stages,
)
from keras_netopt.depth.exits.stage_runner import Arrays
from keras_netopt.training.present_flags import compile_for_flags


class CalibratedStages:
    """Model, stages and thresholds: all that an export needs.

    `split_into_stages` makes the stages if they are not given.
    """

    def __init__(
        self,
        exit_model: ExitModel,
        calibration: ExitCalibration,
        *,
        stages: ModelStages | None = None,
    ) -> None:
        self.exit_model = exit_model
        self.calibration = calibration
        self.stages = stages or split_into_stages(exit_model)
        self.fingerprint = {
            "graph": graph_fingerprint(exit_model),
            "weights": weights_fingerprint(exit_model),
        }

    @property
    def exit_names(self) -> tuple[str, ...]:
        """Names of the exits, the final one last."""
        return self.exit_model.exit_names

    @property
    def criterion(self) -> str:
        """The exit criterion."""
        return self.calibration.rule.criterion

    def to_dict(self) -> dict[str, Any]:
        """Returns calibration and fingerprint as JSON-safe values."""
        return {
            **self.calibration.to_dict(),
            "fingerprint": dict(self.fingerprint),
        }

    def exit_scores(self, inputs: Arrays) -> np.ndarray:
        """Returns the scores of the Keras model, shape `(samples, exits)`."""
        x = self.stages.to_model_inputs(inputs, self.exit_model.input)
        compile_for_flags(self.exit_model, "predict_function")
        outputs = self.exit_model.predict(x, verbose=0)
        rule = self.calibration.rule
        columns = [
            exit_scores(
                np.asarray(outputs[name]), rule.criterion, rule.is_probability
            )
            for name in self.exit_names
        ]
        return np.stack(columns, axis=1)
