"""One call of `search`: the parent, the children, the controls."""

import math
import warnings

import numpy as np

from keras_netopt.cost.summarize import count_model_macs
from keras_netopt.search.morphism.child_files import PARENT, ChildFiles
from keras_netopt.search.morphism.child_maker import ChildMaker, NewChild, show
from keras_netopt.search.morphism.child_trainer import ChildTrainer
from keras_netopt.search.morphism.choose_parent import NextChild, climb, evolve
from keras_netopt.search.morphism.control_runs import ControlStep, next_step
from keras_netopt.search.morphism.journal import Journal
from keras_netopt.search.morphism.morphism_settings import MorphismSettings
from keras_netopt.search.morphism.morphism_trial import MorphismTrial, lineage
from keras_netopt.search.morphism.mutation_space import MutationSpace
from keras_netopt.search.morphism.no_mutation_error import NoMutationError
from keras_netopt.search.morphism.search_progress import SearchProgress
from keras_netopt.search.running.search_limits import SearchLimits
from keras_netopt.warnings import NoEffectWarning


class MorphismRun:
    """Trains what the journal does not hold yet.

    Args:
        settings: The arguments of the search.
        journal: The finished trials.
        files: Their files.
        maker: Makes children.
        trainer: Trains them.
        progress: Shows what is done.
        limits: Limits on time and progress.
    """

    def __init__(
        self,
        settings: MorphismSettings,
        journal: Journal,
        files: ChildFiles,
        maker: ChildMaker,
        trainer: ChildTrainer,
        progress: SearchProgress,
        limits: SearchLimits,
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._files = files
        self._maker = maker
        self._trainer = trainer
        self._progress = progress
        self._limits = limits
        self._data = trainer.first_inputs()

    def run(self, space: MutationSpace) -> None:
        """Trains until all children and controls are done."""
        self._limits.begin()
        if not self._journal.trials:
            self._begin(space)
        end = self._train_children()
        self._journal.finish(end or "")
        self._train_controls()

    def _train_children(self) -> str | None:
        """Returns why the search ends before its last child, if it does."""
        while len(self._searched()) <= self._settings.max_trials:
            if self._limits.are_reached(self._falling_scores):
                self._progress.say(f"The search ends: {self._limits.reason}.")
                return self._limits.reason
            if not self._train_child():
                end = (
                    "no network of the population has a mutation that keeps "
                    f"the limits, after {len(self._searched()) - 1} of "
                    f"{self._settings.max_trials} children"
                )
                warnings.warn(
                    f"The search ends: {end}. Raise a limit of `constraints`, "
                    "or allow more `operations` or other `factors`.",
                    NoEffectWarning,
                    stacklevel=4,
                )
                return end
        return None

    def _begin(self, space: MutationSpace) -> None:
        """Checks what can be checked, then trains the parent."""
        settings = self._settings
        self._files.folder.mkdir(parents=True, exist_ok=True)
        self._files.save_parent()
        model = self._files.load(PARENT)
        check = self._maker.check(model)
        if not check.is_feasible:
            raise ValueError(
                "Argument `parent` must meet the constraints. "
                f"Received: a parent with {show(check)}"
            )
        costs = dict(check.costs)
        known = space.explain(settings.parent)
        if not known.possible:
            raise ValueError(
                "Argument `parent` must allow at least one mutation. "
                f"Received:\n{known}"
            )
        # Raises where no mutation meets the constraints.
        start = MorphismTrial(0, "parent", file=PARENT, costs=costs)
        self._maker.make(start, is_mutated=True, seed=self._seed(1), data=None)
        names = self._trainer.metric_names(model, settings.objective)
        settings.objective.check(self._trainer.arguments, names)
        epochs = settings.parent_epochs
        self._train(
            NewChild(model, (), costs),
            role="parent",
            epochs=self._trainer.epochs if epochs is None else epochs,
        )

    def _train_child(self) -> bool:
        """Returns False if no network of the population can be changed."""
        number = len(self._journal.trials)
        chosen = self._choose(np.random.default_rng(self._seed(number)))
        for parent in (chosen.parent, *chosen.others):
            try:
                child = self._make(parent, chosen.is_mutated)
            except NoMutationError:
                continue
            self._train(
                child,
                role="child",
                epochs=self._trainer.epochs,
                parent=parent.number,
            )
            return True
        return False

    def _train_controls(self) -> None:
        settings, journal = self._settings, self._journal
        best = journal.best(settings.objective.sign)
        if not best:
            return
        line = lineage(best[0], journal.trials)
        is_new = True
        while step := next_step(
            journal.trials,
            line,
            controls=settings.controls,
            epochs=self._trainer.epochs,
        ):
            if self._limits.are_reached(list):  # Of them, `max_time`.
                journal.finish(journal.end or self._limits.reason or "")
                break
            if is_new:
                self._progress.say(
                    f"Controls: {settings.controls} random lineages of "
                    f"{len(line) - 1} trainings, and the parent."
                )
                is_new = False
            self._train_control(step)

    def _train_control(self, step: ControlStep) -> None:
        try:
            child = self._make(step.parent, step.role == "random")
        except NoMutationError:  # Trained on, so that the length is equal.
            child = self._make(step.parent, False)
        self._train(
            child,
            role=step.role,
            epochs=step.epochs,
            parent=step.parent.number,
            control=step.control,
        )

    def _make(self, parent: MorphismTrial, is_mutated: bool) -> NewChild:
        return self._maker.make(
            parent,
            is_mutated=is_mutated,
            seed=self._seed(len(self._journal.trials)),
            data=self._data,
        )

    def _train(
        self,
        child: NewChild,
        *,
        role: str,
        epochs: int,
        parent: int | None = None,
        control: int | None = None,
    ) -> None:
        """Trains a network, saves it, and then names it in the journal."""
        number = len(self._journal.trials)
        model, objective = child.model, self._settings.objective
        done = self._trainer.train(model, epochs, self._seed(number))
        score = objective.read(done.last)
        file = f"trial-{number:04d}.keras"
        self._files.save(model, file)
        trial = MorphismTrial(
            number,
            role,
            parent,
            child.mutations,
            "FAILED" if score is None else "COMPLETED",
            score,
            model.count_params(),
            count_model_macs(model)[0],
            done.spent,
            done.epochs,
            done.logs,
            child.costs,
            control,
            file,
            round(done.seconds, 2),
        )
        self._journal.add(trial)
        best = self._journal.best(objective.sign)
        self._progress.update(
            trial, best[0] if best else None, len(self._searched())
        )

    def _choose(self, rng: np.random.Generator) -> NextChild:
        settings, trials = self._settings, self._searched()
        sign = settings.objective.sign
        if settings.strategy == "hill_climbing":
            return climb(trials, neighbors=settings.neighbors, sign=sign)
        return evolve(
            trials,
            population_size=settings.population_size,
            sample_size=settings.sample_size,
            sign=sign,
            rng=rng,
        )

    def _searched(self) -> list[MorphismTrial]:
        return [one for one in self._journal.trials if one.is_searched]

    def _falling_scores(self) -> list[float]:
        """Returns the scores in order; lower is better."""
        sign = self._settings.objective.sign
        return [
            math.inf if one.score is None else -sign * one.score
            for one in self._searched()
        ]

    def _seed(self, number: int) -> int:
        words = np.random.SeedSequence([self._settings.seed, number])
        return int(words.generate_state(1)[0] >> 1)
