"""A model with exits and the thresholds at which samples leave."""

import json
import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.depth.exits.confidence import classes
from keras_netopt.depth.exits.exit_model import ExitModel
from keras_netopt.depth.exits.exit_report import ExitEvaluation, render_exits
from keras_netopt.depth.exits.exit_state import ExitState, natural
from keras_netopt.depth.exits.fingerprint import (
    graph_fingerprint,
    weights_fingerprint,
)
from keras_netopt.depth.exits.measured_exits import target_classes
from keras_netopt.depth.exits.runner import Runner, stage_seconds
from keras_netopt.depth.exits.stages import ModelStages, cut
from keras_netopt.depth.exits.threshold_search import ExitPoint, pareto

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from keras_netopt.depth.exits.exit_export import ExitExport

MODES = ("auto", "stages", "full")


class CalibratedExits:
    """Runs a model only as deep as each sample needs.

    `depth.calibrate` makes it; `load` reads it back. It belongs to one graph
    with one set of weights: after more training, calibrate again.

    Args:
        exit_model: The model with exits.
        state: Thresholds and what was measured with them.
        stages: Its stages. Defaults to `None`: they are cut here.
        data: The calibration samples and classes, used again by `export`.
            Defaults to `None`.
    """

    def __init__(
        self,
        exit_model: ExitModel,
        state: ExitState,
        *,
        stages: ModelStages | None = None,
        data: tuple[Any, Any] | None = None,
    ) -> None:
        self.exit_model = exit_model
        self.state = state
        self.stages = cut(exit_model) if stages is None else stages
        self.data = data
        self.graph_id = graph_fingerprint(exit_model)
        self.weights_id = weights_fingerprint(exit_model)
        self._backbone: Any = None
        self._pays: dict[int, bool] = {}

    @property
    def exit_names(self) -> tuple[str, ...]:
        """The names of the exits, the final one last."""
        return self.exit_model.exit_names

    @property
    def criterion(self) -> str:
        """What says how sure an answer is."""
        return self.state.rule.criterion

    @property
    def thresholds(self) -> dict[str, float | None]:
        """What is enough to leave, by exit; `None`: nobody leaves there.

        In the criterion's own unit: at least so much confidence or margin,
        at most so much entropy. The final exit has none.
        """
        rule = self.state.rule
        return {
            name: natural(threshold, rule.criterion)
            for name, threshold in zip(
                self.exit_names[:-1], rule.thresholds, strict=False
            )
        }

    @property
    def fractions(self) -> dict[str, float]:
        """The share of calibration samples that left at each exit."""
        shares = self.state.point.fractions
        return dict(zip(self.exit_names, shares, strict=True))

    @property
    def accuracy(self) -> float:
        """The accuracy on the calibration samples."""
        return self.state.point.accuracy

    @property
    def full_accuracy(self) -> float:
        """The accuracy of the final exit on the same samples."""
        return self.state.accuracies[-1]

    @property
    def cost(self) -> float:
        """The expected cost of a sample, heads tried on the way included."""
        return self.state.point.cost

    @property
    def full_cost(self) -> float:
        """The cost of a sample in the model without exits."""
        return self.state.costs.full

    @property
    def curve(self) -> tuple[ExitPoint, ...]:
        """Every choice that was tried, cheapest first."""
        return self.state.points

    @property
    def front(self) -> tuple[ExitPoint, ...]:
        """The choices of `curve` that no cheaper one equals."""
        return pareto(self.state.points)

    def predict(
        self,
        x: Any,
        *,
        batch_size: int = 256,
        return_exits: bool = False,
        mode: str = "auto",
    ) -> Any:
        """Answers samples, each by as few stages as it needs.

        Args:
            x: Arrays as the model takes them.
            batch_size: Samples a call at most. Defaults to `256`.
            return_exits: Whether to return the exits too. Defaults to
                `False`.
            mode: "stages" leaves early; "full" runs the model without exits;
                "auto" times both once for each batch size and takes the
                faster one, with a warning where that is the full model.
                Defaults to `"auto"`.

        Returns:
            The answers in the order of `x`, shape `(samples, classes)`; with
            `return_exits` also the index of each sample's exit, shape
            `(samples,)`.

        Raises:
            ValueError: If an argument is out of range, or the model is not
                the one that was calibrated.
        """
        check_choice(mode, "mode", MODES)
        check_integer(batch_size, "batch_size", minimum=1)
        self.check_model()
        if mode == "full" or (
            mode == "auto" and not self._faster(x, batch_size)
        ):
            answers = self._full().predict(x, batch_size=batch_size, verbose=0)
            exits = np.full(len(answers), len(self.exit_names) - 1)
        else:
            answers, exits = self.runner(batch_size).run(x)
        return (answers, exits) if return_exits else answers

    def runner(self, batch_size: int = 256) -> Runner:
        """Returns what runs the stages.

        Args:
            batch_size: Samples a call at most. Defaults to `256`.

        Returns:
            The runner; it counts the calls of each stage.
        """
        return Runner(self.stages, self.state.rule, batch_size)

    def evaluate(
        self, x: Any, y: Any, *, batch_size: int = 256
    ) -> ExitEvaluation:
        """Measures accuracy, exits and cost on other data.

        Args:
            x: Arrays as the model takes them.
            y: Classes: integers of shape `(samples,)` or one-hot rows.
            batch_size: Samples a call at most. Defaults to `256`.

        Returns:
            The measurement; `print` it.
        """
        answers, exits = self.predict(
            x, batch_size=batch_size, return_exits=True, mode="stages"
        )
        truth = target_classes(y, len(answers), answers.shape[-1])
        right = classes(answers, self.state.rule.is_probability) == truth
        return ExitEvaluation.of(
            self.exit_names, exits, right, self.state.costs
        )

    def report(self) -> str:
        """Returns a table of exits, thresholds, shares and costs."""
        return render_exits(self.exit_names, self.state)

    def plot(self, path: Any = None) -> "Figure":
        """Draws accuracy against cost, with the chosen point.

        Args:
            path: Picture file to write. Defaults to `None`: no file.

        Returns:
            The figure.
        """
        from keras_netopt.plots.exits import exit_curve

        return exit_curve(self, path=path)

    def export(self, path: Any, **options: Any) -> "ExitExport":
        """Writes LiteRT files that leave early, runs and compares them.

        Args:
            path: A folder for one file a stage, `thresholds.json` and
                `runner.py`; with `single_file=True` a `.tflite` path.
            **options: See `keras_netopt.depth.exits.exit_export.export_exits`:
                `single_file`, `quantize`, `calibration_data`, `data`.

        Returns:
            What was written, how exact and how fast it is.
        """
        from keras_netopt.depth.exits.exit_export import export_exits

        self.check_model()
        return export_exits(self, path, **options)

    def to_dict(self) -> dict[str, Any]:
        """Returns the thresholds in types that JSON knows."""
        content = self.state.to_dict()
        for stage, name in zip(content["stages"], self.exit_names, strict=True):
            stage["name"] = name
        content["fingerprint"] = {
            "graph": self.graph_id,
            "weights": self.weights_id,
        }
        return content

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the thresholds to a JSON file.

        Args:
            path: Where to write.
        """
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.to_dict(), file, indent=2)

    @classmethod
    def load(
        cls, exit_model: ExitModel, path: str | os.PathLike[str]
    ) -> "CalibratedExits":
        """Reads thresholds that belong to a model.

        Args:
            exit_model: The model that was calibrated, or a reloaded copy.
            path: What `save` or `export` wrote.

        Returns:
            The calibrated exits, without the calibration samples.

        Raises:
            ValueError: If they were found for another graph or weights.
        """
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        found = cls(exit_model, ExitState.from_dict(content))
        told = content["fingerprint"]
        if told != {"graph": found.graph_id, "weights": found.weights_id}:
            what = "graph" if told["graph"] != found.graph_id else "weights"
            raise ValueError(
                "Argument `exit_model` must be the model that the thresholds "
                f"were found for: its {what} differ. Received: exit_model="
                f"{exit_model.name!r}, path={os.fspath(path)!r}. Calibrate "
                "again"
            )
        return found

    def check_model(self) -> None:
        """Refuses a model whose weights have moved since the calibration.

        Raises:
            ValueError: If they have.
        """
        if weights_fingerprint(self.exit_model) != self.weights_id:
            raise ValueError(
                "Argument `exit_model` must be as it was calibrated: its "
                "weights have changed since. Received: exit_model="
                f"{self.exit_model.name!r}. RecordedCall `calibrate` again"
            )

    def _full(self) -> Any:
        if self._backbone is None:
            self._backbone = self.exit_model.backbone()
        return self._backbone

    def _faster(self, x: Any, batch_size: int) -> bool:
        """Whether leaving early gains anything over one full pass."""
        if batch_size not in self._pays:
            self._pays[batch_size] = self._time(x, batch_size)
        return self._pays[batch_size]

    def _time(self, x: Any, batch_size: int) -> bool:
        feeds = {n: np.asarray(a) for n, a in self.stages.feeds(x).items()}
        reach = 1.0 - np.cumsum([0.0, *self.state.point.fractions[:-1]])
        early, full = stage_seconds(
            self.stages.stages,
            lambda held: self._full().predict_on_batch(
                self.stages.pack(held, self.exit_model.input)
            ),
            feeds,
            [float(share) for share in reach],
            batch_size,
        )
        if early >= full:
            warnings.warn(
                f"CalibratedExits: at batch size {batch_size} leaving early "
                f"takes {1e3 * early:.3g} ms where one full pass takes "
                f"{1e3 * full:.3g} ms, so the full model answers. Pass "
                "`mode='stages'` to leave early all the same.",
                stacklevel=5,
            )
        return early < full
