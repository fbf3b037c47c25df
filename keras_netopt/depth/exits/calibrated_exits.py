"""Runs a model with exits at the calibrated thresholds."""

import json
import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.depth.exits.calibrated_stages import CalibratedStages
from keras_netopt.depth.exits.exit_calibration import (
    ExitCalibration,
    score_to_threshold,
)
from keras_netopt.depth.exits.exit_criteria import predicted_classes
from keras_netopt.depth.exits.exit_evaluation import ExitEvaluation
from keras_netopt.depth.exits.exit_export import ExitExport
from keras_netopt.depth.exits.exit_model import ExitModel
from keras_netopt.depth.exits.export_exits import export_exits
from keras_netopt.depth.exits.fingerprint import weights_fingerprint
from keras_netopt.depth.exits.measured_exits import target_classes
from keras_netopt.depth.exits.model_stages import ModelStages
from keras_netopt.depth.exits.stage_runner import StageRunner, time_stages
from keras_netopt.depth.exits.threshold_search import (
    OperatingPoint,
    accuracy_cost_front,
)
from keras_netopt.files import name_unreadable, write_aside
from keras_netopt.plots.exits import exit_curve
from keras_netopt.training.present_flags import compile_for_flags

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODES = ("auto", "stages", "full")
PARTS = ("graph", "weights")  # Of the fingerprint of a model.


class CalibratedExits(CalibratedStages):
    """A model with exits and their thresholds.

    `depth.calibrate` returns it; `load` reads it from a file. It is valid for
    one graph with one set of weights: calibrate again after more training.

    Args:
        exit_model: The model with exits.
        calibration: Its thresholds, with what they give.
        stages: Its stages. Defaults to `None`: `split_into_stages` makes
            them.
        validation_data: The calibration samples `(x, y)`, used again by
            `export`. Defaults to `None`.
    """

    def __init__(
        self,
        exit_model: ExitModel,
        calibration: ExitCalibration,
        *,
        stages: ModelStages | None = None,
        validation_data: tuple[Any, Any] | None = None,
    ) -> None:
        super().__init__(exit_model, calibration, stages=stages)
        self.validation_data = validation_data
        self._backbone: Any = None
        self._is_faster: dict[int, bool] = {}

    @property
    def thresholds(self) -> dict[str, float | None]:
        """Exit threshold by name; `None` disables the exit.

        In the unit of the criterion: a lower bound on confidence or margin,
        an upper bound on entropy in nats. The final exit has no threshold.
        """
        rule = self.calibration.rule
        return {
            name: score_to_threshold(score, rule.criterion)
            for name, score in zip(
                self.exit_names[:-1], rule.thresholds, strict=False
            )
        }

    @property
    def fractions(self) -> dict[str, float]:
        """Share of the calibration samples that take each exit."""
        shares = self.calibration.point.fractions
        return dict(zip(self.exit_names, shares, strict=True))

    @property
    def accuracy(self) -> float:
        """Accuracy on the calibration samples."""
        return self.calibration.point.accuracy

    @property
    def full_accuracy(self) -> float:
        """Accuracy of the final exit on the same samples."""
        return self.calibration.accuracies[-1]

    @property
    def cost(self) -> float:
        """Expected cost per sample, all evaluated heads included."""
        return self.calibration.point.cost

    @property
    def full_cost(self) -> float:
        """Cost per sample of the model without exits."""
        return self.calibration.costs.full

    @property
    def curve(self) -> tuple[OperatingPoint, ...]:
        """Every point that the search evaluated, cheapest first."""
        return self.calibration.points

    @property
    def front(self) -> tuple[OperatingPoint, ...]:
        """The Pareto front of `curve`: accuracy against cost."""
        return accuracy_cost_front(self.curve)

    def predict(
        self,
        x: Any,
        *,
        batch_size: int = 256,
        return_exits: bool = False,
        mode: str = "auto",
    ) -> Any:
        """Predicts with early exits.

        Args:
            x: Arrays, as for the model's `predict`.
            batch_size: Samples per call, at most. Defaults to `256`.
            return_exits: Whether to return the exit indices too. Defaults to
                `False`.
            mode: "stages" exits early; "full" runs the model without exits;
                "auto" times both once per batch size and uses the faster one,
                with a warning if that is the full model. Defaults to
                `"auto"`.

        Returns:
            The predictions in the order of `x`, shape `(samples, classes)`;
            with `return_exits` also the exit index of each sample, shape
            `(samples,)`.

        Raises:
            ValueError: If an argument is out of range, or the weights have
                changed since the calibration.
        """
        check_choice(mode, "mode", MODES)
        check_integer(batch_size, "batch_size", minimum=1)
        self.check_model()
        if mode == "full" or (
            mode == "auto" and not self._stages_are_faster(x, batch_size)
        ):
            compile_for_flags(self._full(), "predict_function")
            outputs = self._full().predict(x, batch_size=batch_size, verbose=0)
            exits = np.full(len(outputs), len(self.exit_names) - 1)
        else:
            outputs, exits = self.runner(batch_size).run(x)
        return (outputs, exits) if return_exits else outputs

    def runner(self, batch_size: int = 256) -> StageRunner:
        """Returns the object that runs the stages.

        Args:
            batch_size: Samples per call, at most. Defaults to `256`.

        Returns:
            The runner; it counts the calls of each stage.
        """
        return StageRunner(self.stages, self.calibration.rule, batch_size)

    def evaluate(
        self, x: Any, y: Any, *, batch_size: int = 256
    ) -> ExitEvaluation:
        """Measures accuracy, exit fractions and cost on labelled data.

        Args:
            x: Arrays, as for the model's `predict`.
            y: Classes: integers of shape `(samples,)` or one-hot rows.
            batch_size: Samples per call, at most. Defaults to `256`.

        Returns:
            The report; `print` it.
        """
        outputs, exits = self.predict(
            x, batch_size=batch_size, return_exits=True, mode="stages"
        )
        classes = predicted_classes(
            outputs, self.calibration.rule.is_probability
        )
        targets = target_classes(y, len(outputs), outputs.shape[-1])
        return ExitEvaluation.from_samples(
            self.exit_names, exits, classes == targets, self.calibration.costs
        )

    def report(self) -> ExitCalibration:
        """Returns thresholds, exit fractions, accuracy and cost by exit."""
        return self.calibration

    def plot(self, path: Any = None) -> "Figure":
        """Plots accuracy against cost, with the chosen point.

        Args:
            path: Picture file to write. Defaults to `None`: no file.

        Returns:
            The figure.
        """
        return exit_curve(self, path=path)

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        single_file: bool = False,
        quantize: str | None = None,
        calibration_data: Any = None,
        validation_data: tuple[Any, Any] | None = None,
        target: str | None = None,
        overwrite: bool = False,
    ) -> ExitExport:
        """Writes LiteRT files with early exits and verifies them.

        Args:
            path: A folder for one file per stage, `thresholds.json` and
                `runner.py`; with `single_file=True` a `.tflite` path.
            single_file: Whether to write one file. Defaults to `False`.
            quantize: As in `export.to_litert`; a single file takes "dynamic"
                only. Defaults to `None`.
            calibration_data: Inputs for quantization ranges and for
                verification. Defaults to `None`: the calibration samples.
            validation_data: Held-out `(x, y)` for thresholds of quantized
                files. Defaults to `None`: the calibration samples.
            target: The runtime, as in `export.to_litert`; each file is for a
                batch of 1 then. Defaults to `None`, the LiteRT interpreter.
            overwrite: Whether files of an earlier export at `path` may be
                replaced. Defaults to `False`.

        Returns:
            The report; `print` it.

        Raises:
            ExportError: If a file fails to run, or its decisions differ from
                those of Keras.
            ValueError: If an argument is out of range, the backend is not
                TensorFlow, quantized files have no samples, or the weights
                have changed since the calibration.
            FileExistsError: If `path` holds an earlier export and
                `overwrite` is `False`.
        """
        self.check_model()
        return export_exits(
            self,
            path,
            single_file=single_file,
            quantize=quantize,
            calibration_data=calibration_data,
            validation_data=validation_data or self.validation_data,
            target=target,
            overwrite=overwrite,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the thresholds to a JSON file.

        Args:
            path: The file.
        """
        with (
            write_aside(path) as partial,
            open(partial, "w", encoding="utf-8") as file,
        ):
            json.dump(self.to_dict(), file, indent=2)

    @classmethod
    def load(
        cls, exit_model: ExitModel, path: str | os.PathLike[str]
    ) -> "CalibratedExits":
        """Reads the thresholds of a model.

        Args:
            exit_model: The calibrated model, or a reloaded copy.
            path: A file that `save` or `export` wrote.

        Returns:
            The calibrated exits, without the calibration samples.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file cannot be read, or the thresholds belong
                to another graph or other weights.
        """
        remedy = "Call `calibrate` again and save its result."
        with (
            name_unreadable(path, "thresholds of exits", remedy),
            open(path, encoding="utf-8") as file,
        ):
            content = json.load(file)
            calibration = ExitCalibration.from_dict(content)
            saved = {p: content["fingerprint"][p] for p in PARTS}
        found = cls(exit_model, calibration)
        for part in PARTS:
            if saved[part] != found.fingerprint[part]:
                raise ValueError(
                    "Argument `exit_model` must be the model that the "
                    f"thresholds were calibrated for: its {part} differ. "
                    f"Received: exit_model={exit_model.name!r}, "
                    f"path={os.fspath(path)!r}. Call `calibrate` again"
                )
        return found

    def check_model(self) -> None:
        """Refuses a model whose weights have changed since the calibration.

        Raises:
            ValueError: If they have changed.
        """
        if weights_fingerprint(self.exit_model) != self.fingerprint["weights"]:
            raise ValueError(
                "Argument `exit_model` must have the weights that it was "
                "calibrated with: its weights have changed since. Received: "
                f"exit_model={self.exit_model.name!r}. Call `calibrate` again"
            )

    def _full(self) -> Any:
        if self._backbone is None:
            self._backbone = self.exit_model.backbone()
        return self._backbone

    def _stages_are_faster(self, x: Any, batch_size: int) -> bool:
        """Times both ways once per batch size."""
        if batch_size not in self._is_faster:
            self._is_faster[batch_size] = self._compare_times(x, batch_size)
        return self._is_faster[batch_size]

    def _compare_times(self, x: Any, batch_size: int) -> bool:
        inputs = self.stages.named_inputs(x)
        fractions = self.calibration.point.fractions
        reach = 1.0 - np.cumsum([0.0, *fractions[:-1]])
        early, full = time_stages(
            self.stages.stages,
            lambda batch: self._full().predict_on_batch(
                self.stages.to_model_inputs(batch, self.exit_model.input)
            ),
            {name: np.asarray(array) for name, array in inputs.items()},
            [float(share) for share in reach],
            batch_size,
        )
        if early >= full:
            warnings.warn(
                f"CalibratedExits: at batch size {batch_size} the stages take "
                f"{1e3 * early:.3g} ms and the full model {1e3 * full:.3g} "
                "ms, so the full model is used. Pass `mode='stages'` to exit "
                "early anyway.",
                stacklevel=5,
            )
        return early < full
