"""Searches architectures by mutations that keep what was learned."""

import shutil
from pathlib import Path
from typing import Any

import keras

from keras_netopt.checks import (
    check_bool,
    check_integer,
    check_positive,
    check_probability,
)
from keras_netopt.search.constraint_checker import keep_converter, keep_costs
from keras_netopt.search.constraints import check_constraints
from keras_netopt.search.morphism.child_files import ChildFiles
from keras_netopt.search.morphism.child_maker import ChildMaker
from keras_netopt.search.morphism.child_trainer import ChildTrainer
from keras_netopt.search.morphism.journal import Journal
from keras_netopt.search.morphism.morphism_objective import MorphismObjective
from keras_netopt.search.morphism.morphism_report import MorphismReport
from keras_netopt.search.morphism.morphism_run import MorphismRun
from keras_netopt.search.morphism.morphism_settings import MorphismSettings
from keras_netopt.search.morphism.morphism_trial import MorphismTrial
from keras_netopt.search.morphism.mutation import OPERATIONS
from keras_netopt.search.morphism.mutation_report import MutationReport
from keras_netopt.search.morphism.mutation_space import MutationSpace, as_tuple
from keras_netopt.search.morphism.search_identity import identify_search
from keras_netopt.search.morphism.search_progress import SearchProgress
from keras_netopt.search.project_arguments import check_project
from keras_netopt.search.running.fit_arguments import (
    bind_fit_arguments,
    check_callbacks,
)
from keras_netopt.search.running.search_limits import SearchLimits
from keras_netopt.tables import render
from keras_netopt.training.compiled_clone import initial_learning_rate


class Morphism:
    """Searches architectures by network morphism, from a compiled parent.

    Children are made by edits of their trained parents: layers become wider
    or narrower, blocks are inserted or removed. Growing preserves the
    outputs, so a child starts with what its parent has learned and trains for
    a few epochs. Evolution or hill climbing decides which network is changed
    next. The parent model is only read.

    Every network that was trained is in the folder of the project; a killed
    search continues if the same script runs again. Methods have the names of
    KerasTuner's tuners; KerasTuner is not needed.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> parent = keras.Sequential([
    ...     keras.Input((4,)),
    ...     keras.layers.Dense(6, activation="relu", name="hidden"),
    ...     keras.layers.Dense(1, name="out"),
    ... ])
    >>> parent.compile("adam", "mse")
    >>> x = np.random.default_rng(0).normal(size=(64, 4))
    >>> y = x[:, :1] * x[:, 1:2]
    >>> tuner = netopt.search.Morphism(
    ...     parent, objective="val_loss", max_trials=1, controls=0,
    ...     directory="runs",
    ... )
    >>> tuner.search(x, y, epochs=1, validation_data=(x, y), verbose=0)
    >>> len(tuner.trials), tuner.get_best_models()[0].output_shape
    (2, (None, 1))

    Args:
        parent: A built and compiled model that the edits of
            `keras_netopt.surgery` take, new or trained: Functional,
            Sequential, or a subclass with a `train_step` of its own that is
            built as `Mine(inputs, outputs)`.
        objective: Name of the log to improve, or a `keras_tuner.Objective`.
            Defaults to `"val_accuracy"`.
        max_trials: Children to train, at least 1; the parent and the controls
            are trained besides. Defaults to `10`.
        strategy: "evolution" (regularized: the oldest network dies) or
            "hill_climbing". Defaults to `"evolution"`.
        population_size: Living networks in evolution. Defaults to `8`.
        sample_size: Networks of the population of which the best gets a
            child, from 1 (no selection) to `population_size`. Defaults to
            `4`.
        neighbors: Children per generation in hill climbing; the first is
            not changed. Defaults to `4`.
        operations: The kinds of mutations: "widen", "deepen", "narrow" and
            "remove_block". Defaults to all.
        factors: Ratios of widths for "widen" and "narrow", each above 1.
            Defaults to `(1.5, 2.0)`.
        mutations_per_child: Mutations of each child, at least 1. Defaults to
            `1`.
        min_channels: Units that "narrow" keeps in a layer. Defaults to `4`.
        block: The block that "deepen" inserts; see `surgery.deepen`. Defaults
            to `None`: a residual block like the layer.
        include: Layers to mutate: a regular expression searched in the
            layer's path, "first", "last", a layer, a layer class, a
            `callable(layer) -> bool`, or a list of those. Defaults to `None`:
            all.
        exclude: Layers not to mutate, in the same form. Defaults to `None`.
        constraints: Limits that every child must meet, as in
            `[search.MaxMACs(2e6)]`. Defaults to `()`.
        parent_epochs: Epochs of the parent at the beginning; 0 for a trained
            one. Defaults to `None`: as many as a child's.
        learning_rate: Learning rate at the beginning of each training, above
            0; it falls along a cosine. Defaults to `None`: the initial one of
            the parent's optimizer.
        final: Last learning rate as a share of the first one, in [0, 1].
            Defaults to `0.0`.
        inherit_weights: Whether children keep the weights of their parent;
            `False` trains each from scratch, for comparison. Defaults to
            `True`.
        controls: Random lineages that are trained after the search, as long
            as the best network and its ancestors, with mutations without
            selection; the parent is trained on with the same MACs as well.
            0 trains no control. Defaults to `3`.
        mode: "max" if a higher objective is better, "min" if a lower one is,
            or "auto": by the last word of the name, such as "loss" or
            "accuracy". Defaults to `"auto"`.
        max_time: Seconds per call of `search` after which no new training
            starts, of a child or a control. Defaults to `None`.
        patience: Consecutive networks without a better one after which no new
            child starts. Defaults to `None`.
        directory: Parent folder of the project. Defaults to `None`: the
            working directory.
        project_name: Folder of this search. Defaults to `None`:
            "untitled_project".
        overwrite: Whether to delete an existing project instead of resuming
            it. Defaults to `False`.
        seed: Seed of mutations, new weights and the order of samples. Sets
            Keras' global seed. Defaults to `0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, the model cannot be edited
            or is not compiled, or the folder holds another search.

    Reference:
        Elsken et al., *NASH*, 2017, https://arxiv.org/abs/1711.04528 (hill
        climbing); Real et al., 2018, https://arxiv.org/abs/1802.01548
        (regularized evolution); Chen et al., *Net2Net*, 2016,
        https://arxiv.org/abs/1511.05641.
    """

    def __init__(
        self,
        parent: keras.Model,
        objective: Any = "val_accuracy",
        max_trials: int = 10,
        *,
        strategy: str = "evolution",
        population_size: int = 8,
        sample_size: int = 4,
        neighbors: int = 4,
        operations: Any = OPERATIONS,
        factors: Any = (1.5, 2.0),
        mutations_per_child: int = 1,
        min_channels: int = 4,
        block: Any = None,
        include: Any = None,
        exclude: Any = None,
        constraints: Any = (),
        parent_epochs: int | None = None,
        learning_rate: float | None = None,
        final: float = 0.0,
        inherit_weights: bool = True,
        controls: int = 3,
        mode: str = "auto",
        max_time: float | None = None,
        patience: int | None = None,
        directory: Any = None,
        project_name: str | None = None,
        overwrite: bool = False,
        seed: int = 0,
    ) -> None:
        self.settings = MorphismSettings(
            parent,
            MorphismObjective.create(objective, mode),
            max_trials,
            strategy,
            population_size,
            sample_size,
            neighbors,
            parent_epochs,
            controls,
            inherit_weights,
            seed,
        )
        self.space = MutationSpace(
            as_tuple(operations, "operations"),
            as_tuple(factors, "factors"),
            min_channels,
            block,
            include,
            exclude,
        )
        self.space.check_selectors(parent)
        check_integer(mutations_per_child, "mutations_per_child", minimum=1)
        self._rate = initial_learning_rate(parent.optimizer)
        if learning_rate is not None:
            self._rate = check_positive(learning_rate, "learning_rate")
        self._final = check_probability(final, "final")
        self._limits = SearchLimits(max_time, patience)
        check_project(directory, project_name, overwrite)
        folder = Path(directory or ".") / (project_name or "untitled_project")
        self.project_dir = folder
        limits = check_constraints(constraints)
        keep_costs(limits, folder)
        self._constraints = limits
        if check_bool(overwrite, "overwrite") and folder.exists():
            shutil.rmtree(folder)
        rates = {"learning_rate": self._rate, "final": self._final}
        self._journal = Journal(
            folder, identify_search(self.settings, self.space, limits, rates)
        )
        self._files = ChildFiles(folder, parent, self._rate)
        self._maker = ChildMaker(
            self._files,
            self.space,
            limits,
            mutations_per_child,
            self.settings.inherit_weights,
        )

    @property
    def objective(self) -> MorphismObjective:
        """Name and direction of the log that is improved."""
        return self.settings.objective

    @property
    def trials(self) -> tuple[MorphismTrial, ...]:
        """All trained networks, in order; the first is the parent."""
        return tuple(self._journal.trials)

    def list_mutations(self) -> MutationReport:
        """Returns the mutations of the parent, and why others are impossible.

        Returns:
            The report; `print` it.
        """
        return self.space.explain(self.settings.parent)

    def search_space_summary(self) -> None:
        """Prints the mutations of the parent."""
        print(self.list_mutations())

    def search(self, *args: Any, **kwargs: Any) -> None:
        """Trains children until `max_trials` are done, then the controls.

        The search ends early, with a `NoEffectWarning`, if no network of the
        population has a mutation that keeps the limits.

        The arguments are those of `fit`. `epochs` is the number per child.

        Args:
            *args: As for `fit`: `x`, `y` and so on.
            **kwargs: As for `fit`. `verbose` is 0 (nothing), 1 (one bar for
                the whole search) or 2 (a line per network and epoch).

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If the objective will not be logged, the data can be
                read only once, the parent cannot be saved, exceeds a
                constraint, or allows no mutation; before anything is trained.
        """
        arguments = bind_fit_arguments(args, kwargs)
        check_callbacks(arguments.get("callbacks"))
        trainer = ChildTrainer(arguments, self._rate, self._final)
        self.settings.check_arguments(arguments)
        verbose = arguments.get("verbose", "auto")
        progress = SearchProgress(
            self.settings.max_trials + 1,
            1 if verbose == "auto" else int(verbose),
        )
        run = MorphismRun(
            self.settings,
            self._journal,
            self._files,
            self._maker,
            trainer,
            progress,
            self._limits,
        )
        with keep_converter(self._constraints):
            run.run(self.space)

    def get_best_trials(self, num_trials: int = 1) -> list[MorphismTrial]:
        """Returns the best networks as data, the best first.

        Args:
            num_trials: How many. Defaults to `1`.
        """
        return self._journal.best(self.objective.sign)[:num_trials]

    def get_best_models(self, num_models: int = 1) -> list[keras.Model]:
        """Loads the best networks, trained and compiled, the best first.

        Args:
            num_models: How many. Defaults to `1`.
        """
        found = self.get_best_trials(num_models)
        return [self._files.load(trial.file) for trial in found]

    def load_model(self, trial: MorphismTrial | int) -> keras.Model:
        """Loads any trained network, controls included.

        Args:
            trial: The trial, or its number.
        """
        number = trial if isinstance(trial, int) else trial.number
        return self._files.load(self.trials[number].file)

    def results_summary(self, num_trials: int = 10) -> None:
        """Prints the best networks as a table.

        Args:
            num_trials: How many. Defaults to `10`.
        """
        rows = [
            [one.number, one.score, one.params, one.macs, one.parent, one.title]
            for one in self.get_best_trials(num_trials)
        ]
        head = ["trial", self.objective.name, "params", "MACs", "from"]
        print(render([*head, "mutation"], rows, title="Best networks"))

    def report(self) -> MorphismReport:
        """Returns the best network beside its parent and the controls.

        Raises:
            ValueError: If no network has been trained.
        """
        best = self.get_best_trials()
        if not best:
            raise ValueError(
                "The report needs a trained network: call `search` first. "
                f"Received: {len(self.trials)} trials in {self.project_dir}"
            )
        return MorphismReport(
            self.objective.name,
            self.objective.sign,
            self.trials,
            best[0].number,
            self._journal.end,
        )
