"""The stages of a run, from the plan to the file that is delivered."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import keras

from keras_netopt.compression.candidate import (
    Candidate,
    describe_limit,
    excess,
)
from keras_netopt.compression.candidate_writer import CandidateWriter
from keras_netopt.compression.progress_line import ProgressLine
from keras_netopt.compression.route import Route
from keras_netopt.compression.route_planner import Plan, RoutePlanner
from keras_netopt.compression.run_folder import FLOAT, RunFolder
from keras_netopt.compression.run_settings import RunSettings
from keras_netopt.compression.stage import Stage, plan_epochs
from keras_netopt.compression.stage_trainer import StageTrainer
from keras_netopt.export.export_error import ExportError
from keras_netopt.surgery.cutting.cut_to_widths import WidthCutter

MIN_CHANNELS = 4
CLEARLY = 0.2  # Points by which another route must be expected to be better.


class CompressionRun:
    """One call of `compress`; finished parts are read from its folder.

    Args:
        settings: The arguments.
        folder: The folder of the run.
        verbose: Whether to show progress.
    """

    def __init__(
        self, settings: RunSettings, folder: RunFolder, verbose: int
    ) -> None:
        self.settings = settings
        self.folder = folder
        self.line = ProgressLine(settings.epochs, verbose)
        self.cutter = WidthCutter(MIN_CHANNELS, settings.seed)
        self.writer = CandidateWriter(settings, folder)
        self.trainer = StageTrainer(settings, folder, self.cutter, self.line)
        self.seconds: dict[str, float] = folder.state.setdefault(
            "seconds", {"planning": 0.0, "training": 0.0, "files": 0.0}
        )
        self.stages: list[Stage] = []
        self.candidates: list[Candidate] = []
        self.failures: list[str] = []
        self.plans: list[Plan] = []

    def run(self) -> None:
        """Runs all stages that are needed."""
        self.settings.check_clone()
        self.cutter.list_widths(self.settings.model)  # Names the layers.
        self.line.begin("measure the original model", 0)
        self.original = self._measure_original()
        self.line.begin("plan", 0)
        self.plans = self._plan()
        self.line.add(f"plan: {describe_plan(self.plans[0])}", False)
        while (stage := self._next_stage()) is not None:
            self._run_stage(stage)
            if self.candidates and self.candidates[-1].meets:
                break

    @property
    def epochs(self) -> int:
        """Epochs trained so far."""
        return sum(stage.epochs for stage in self.stages)

    def best(self) -> int:
        """Returns the number of the best candidate.

        Files that meet all limits come first, then the smallest drop; of
        files that miss a limit the nearest is best.
        """
        target, macs = self.settings.target, self.original.macs
        return min(
            range(len(self.candidates)),
            key=lambda k: (
                excess(self.candidates[k], target, macs),
                self.candidates[k].drop,
            ),
        )

    def stage_of(self, candidate: Candidate) -> Stage:
        """Returns the stage that wrote a candidate."""
        return next(
            stage
            for stage in self.stages
            if candidate.file == f"stage-{stage.number}.tflite"
        )

    def _next_stage(self) -> Stage | None:
        """Decides what is done next, by what has been measured."""
        left = self.settings.epochs - self.epochs
        number = len(self.stages)
        first, *rest = plan_epochs(self.settings.epochs)
        if number == 0:
            route = self.plans[0].route
            if route == Route(8):
                # Rounding alone may be enough.
                return Stage(0, route, epochs=0)
            return Stage(0, route, epochs=first)
        if left <= 0:
            return None
        last = self.stages[-1]
        failed = len(self.candidates) < number
        if last.epochs == 0:
            return Stage(number, last.route, left, has_ranges=True)
        other = self._better_route()
        if failed:
            return None if other is None else Stage(number, other, left)
        if last.has_ranges or last.route.bits < 8:
            if other is not None:
                return Stage(number, other, left)
            return dataclasses.replace(
                last, number=number, epochs=left, start=last.number
            )
        if self._loses_by_rounding(last):
            epochs = max(1, left // 2)
            return Stage(number, last.route, epochs, last.number, True)
        if other is not None:
            return Stage(number, other, left)
        return Stage(number, last.route, left, last.number)

    def _better_route(self) -> Route | None:
        """Returns a route that was not tried and promises more."""
        tried = {stage.route for stage in self.stages}
        known = 100 * min((c.drop for c in self.candidates), default=1.0)
        for plan in self.plans:
            promise = plan.route.expected_loss
            if plan.route not in tried and promise < known - CLEARLY:
                return plan.route
        return None

    def _loses_by_rounding(self, stage: Stage) -> bool:
        """Whether the float model would meet what its file misses."""
        judge = self.settings.judge
        _, score = judge.score_model(self.trainer.load(stage))
        drop = judge.drop(self.writer.metric, self.original.score, score)
        return drop <= self.settings.max_drop

    def _run_stage(self, stage: Stage) -> None:
        """Trains a stage and writes its file, or reads both."""
        state, number = self.folder.state, len(self.stages)
        self.line.begin(stage.title, self.epochs)
        if number < len(state["stages"]):
            done = state["stages"][number]
            self.stages.append(stage)
            if done["candidate"] is None:
                self.failures.append(done["failure"])
            else:
                found = self.folder.load_candidate(done["candidate"])
                self.candidates.append(found)
            return
        cut = next(p.cut for p in self.plans if p.route == stage.route)
        if stage.epochs and not self._is_trained(stage):
            with self._timed("training"):
                self.trainer.train(stage, cut, state["history"])
            state["trained"] = number
            self.folder.save()
        self.stages.append(stage)
        result: dict[str, Any] = {"candidate": None, "failure": None}
        try:
            with self._timed("files"):
                found = self.writer.write(
                    stage, self.trainer.load(stage), self.epochs
                )
        except ExportError as error:
            result["failure"] = f"{stage.title}: {error}"
            self.failures.append(result["failure"])
            self.line.add(f"no file: {error}", False)
        else:
            self.candidates.append(found)
            result["candidate"] = found.to_dict()
            is_best = self.best() == len(self.candidates) - 1
            self.line.add(describe_candidate(found), is_best)
        state["stages"].append(result)
        self.folder.save()

    def _is_trained(self, stage: Stage) -> bool:
        return self.folder.state.get("trained") == stage.number

    def _measure_original(self) -> Candidate:
        state = self.folder.state
        if "original" not in state:
            with self._timed("files"):
                found = self.writer.write_original()
            state["original"] = found.to_dict()
            state["metric"] = self.writer.metric
            self.folder.save()
        found = self.folder.load_candidate(state["original"])
        return self.writer.use_original(found, state["metric"])

    def _plan(self) -> list[Plan]:
        state = self.folder.state
        if "plans" not in state:
            planner = RoutePlanner(
                self.settings.model,
                self.folder.file(FLOAT),
                self.settings.target,
                self.cutter,
                self.original.macs,
            )
            with self._timed("planning"):
                plans = planner.plan()
            state["plans"] = [
                {
                    "route": dataclasses.asdict(plan.route),
                    "cut": dataclasses.asdict(plan.cut),
                }
                for plan in plans
            ]
            state["planned_files"] = planner.files
            self.folder.save()
        return [
            Plan(Route(**row["route"]), self.folder.load_cut(row["cut"]))
            for row in state["plans"]
        ]

    @contextlib.contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start


def describe_plan(plan: Plan) -> str:
    """Describes a route and the figures of its file before training."""
    probe = plan.cut.probe
    return (
        f"{plan.route}: {describe_limit('kilobytes', probe.kilobytes)}, "
        f"{describe_limit('latency_ratio', probe.latency_ratio)}"
    )


def describe_candidate(candidate: Candidate) -> str:
    """Describes a file in one line."""
    size = describe_limit("kilobytes", candidate.kilobytes)
    ratio = describe_limit("latency_ratio", candidate.latency_ratio)
    return (
        f"{candidate.name}: {size}, {ratio}, metric {candidate.score:.4f} "
        f"(drop {candidate.drop:+.4f})"
    )


def load_model(run: CompressionRun, candidate: Candidate) -> keras.Model:
    """Returns the model from which a candidate was written."""
    return run.trainer.load(run.stage_of(candidate))
