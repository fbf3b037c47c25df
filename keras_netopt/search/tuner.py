"""KerasTuner's Tuner with stoppers, folds, constraints and executors."""

import warnings
from typing import Any

import keras_tuner

from keras_netopt.checks import check_bool, check_choice, check_integer
from keras_netopt.files import is_local
from keras_netopt.search.constraint_checker import (
    ConstraintChecker,
    keep_converter,
    keep_costs,
)
from keras_netopt.search.constraints import (
    add_measured_costs,
    check_constraints,
)
from keras_netopt.search.folds import FoldedData, to_folds
from keras_netopt.search.project_arguments import check_project
from keras_netopt.search.reports.confirmation import Confirmation
from keras_netopt.search.running.confirm_best import (
    check_confirm,
    confirm_best,
    describe_budget,
)
from keras_netopt.search.running.executors import to_executor
from keras_netopt.search.running.fit_arguments import (
    bind_fit_arguments,
    check_callbacks,
    check_override,
)
from keras_netopt.search.running.model_keeper import KEEP_WEIGHTS
from keras_netopt.search.running.oracle_proxy import OracleProxy
from keras_netopt.search.running.progress_bar import ProgressBar
from keras_netopt.search.running.project import check_main_guard
from keras_netopt.search.running.refit_arguments import refit_arguments
from keras_netopt.search.running.saved_tuner import SavedTuner
from keras_netopt.search.running.search_limits import SearchLimits
from keras_netopt.search.running.search_samples import split_samples
from keras_netopt.search.running.trial_trainer import (
    RESUME,
    SCORE_EPOCHS,
    TrialTrainer,
)
from keras_netopt.search.running.tuner_parts import (
    check_of_keras_tuner,
    check_parts,
)
from keras_netopt.search.stoppers import Stopper
from keras_netopt.tables import count
from keras_netopt.warnings import NoEffectWarning


class Tuner(SavedTuner):
    """A `keras_tuner.Tuner` for any oracle, with more ways to run trials.

    Adds early stopping of trials (`stopper`), cross-validation (`folds`),
    limits on model size and latency (`constraints`), parallel trials in
    separate processes or on a cluster (`executor`), and resuming inside a
    trial. The tuners `search.TPE`, `search.RandomSearch` and others are this
    class with an oracle each. Subclass it as `keras_tuner.Tuner`.

    The initial weights of a trial depend on the oracle's seed and the trial's
    id, so a trial has the same result in any process.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> def build(hp):
    ...     units = hp.Int("units", 4, 64, sampling="log")
    ...     model = keras.Sequential(
    ...         [keras.Input((8,)), keras.layers.Dense(units)]
    ...     )
    ...     model.compile(hp.Choice("optimizer", ["sgd", "adam"]), "mse")
    ...     return model
    >>> tuner = netopt.search.Tuner(
    ...     build,
    ...     oracle=netopt.search.RandomSearchOracle("val_loss", max_trials=3),
    ...     stopper=netopt.search.ASHA(eta=3),
    ...     directory="runs",
    ... )
    >>> tuner.oracle.get_space().get("units")
    4

    Args:
        hypermodel: A function of `hp` that returns a model, or a
            `keras_tuner.HyperModel`. Defaults to `None`, for subclasses that
            override `run_trial`.
        oracle: An oracle of this package, as in
            `search.TPEOracle("val_loss", 50)`, or of KerasTuner.
        stopper: Stops trials early: `search.ASHA()`, `MedianStopping()`,
            `PatienceStopping()` or a `Stopper`. It sees the first fold and
            execution of each trial. Defaults to `None`.
        folds: Cross-validation: the number of folds, "stratified", a
            `search.KFold`, or an object with scikit-learn's `split`. The
            score is the mean over folds. Defaults to `None`: no
            cross-validation.
        executions_per_trial: Trainings of each trial (per fold), with
            different initial weights; their mean is the score. Defaults to
            `1`.
        constraints: Limits that a model must meet before it is trained, as
            in `[search.MaxMACs(2e6)]`. Defaults to `()`.
        executor: Runs trials in parallel: a number of processes on this
            machine, as `search.local_processes(n)`; a
            `concurrent.futures.Executor`, or a function that returns one.
            Defaults to `None`: sequential trials in this process.
        isolate: Whether to run each trial in a subprocess of the executor's
            worker, so that the memory of long-lived workers (Dask) does not
            grow. Defaults to `False`.
        workers: Number of parallel trials, if the executor does not define
            it. Defaults to `None`.
        host: Address at which workers reach this process. Defaults to
            `"127.0.0.1"`.
        max_time: Seconds per call of `search` after which no new trial
            starts. Defaults to `None`.
        patience: Consecutive trials without a better score after which no
            new trial starts. Defaults to `None`.
        resume: How an interrupted trial resumes. "epoch": after its last
            complete epoch, with another shuffling of the samples; "trial":
            from the start, so that the search equals an uninterrupted one.
            Defaults to `"epoch"`.
        score_epoch: The epoch of a training that is scored and whose weights
            are kept: "best", or "last" if earlier epochs do not qualify, as
            with pruning, growing and schedules. With "last" the metric
            "epoch/<objective>" holds the value of each epoch. Defaults to
            `"best"`.
        keep_weights: Weight files to keep: of "all" trials or the "best"
            one. Defaults to `"all"`.
        confirm: Number of best trials that are trained again with new seeds
            after the search, within `max_trials`, and then ranked by the mean
            of these. Not with an `executor`. Defaults to `0`.
        confirm_seeds: New seeds of each of them. Defaults to `3`.
        directory: Parent folder of the project. Defaults to `None`: the
            working directory.
        project_name: Folder of this search. Defaults to `None`:
            "untitled_project".
        overwrite: Whether to delete an existing project instead of resuming
            it. Defaults to `False`.
        **kwargs: As in `keras_tuner.Tuner`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or the folder holds
            another search, or one whose state cannot be read.
        RuntimeError: If `overwrite` would delete the folder of a search that
            is running.
    """

    def __init__(
        self,
        hypermodel: Any = None,
        oracle: Any = None,
        *,
        stopper: Stopper | None = None,
        folds: Any = None,
        executions_per_trial: int = 1,
        constraints: Any = (),
        executor: Any = None,
        isolate: bool = False,
        workers: int | None = None,
        host: str = "127.0.0.1",
        max_time: float | None = None,
        patience: int | None = None,
        resume: str = "epoch",
        score_epoch: str = "best",
        keep_weights: str = "all",
        confirm: int = 0,
        confirm_seeds: int = 3,
        directory: Any = None,
        project_name: str | None = None,
        overwrite: bool = False,
        **kwargs: Any,
    ) -> None:
        check_main_guard()
        check_parts(hypermodel, oracle, stopper, type(self))
        check_project(directory, project_name, overwrite)
        check_of_keras_tuner(kwargs)
        check_choice(resume, "resume", RESUME)
        check_choice(score_epoch, "score_epoch", SCORE_EPOCHS)
        check_choice(keep_weights, "keep_weights", KEEP_WEIGHTS)
        if check_bool(isolate, "isolate") and executor is None:
            raise ValueError(
                "Argument `isolate` needs an `executor`. For one process per "
                "trial on this machine, pass "
                "`executor=search.local_processes(n)`. "
                "Received: isolate=True, executor=None"
            )
        if workers is not None:
            check_integer(workers, "workers", minimum=1)
        own = type(self).run_trial is TrialTrainer.run_trial
        check_confirm(confirm, confirm_seeds, oracle, executor, own)
        self.confirm, self.confirm_seeds = confirm, confirm_seeds
        self.confirmation: Confirmation | None = None
        self.folds = to_folds(folds)
        self.stopper = stopper
        self.limits = SearchLimits(max_time, patience)
        self.executor = to_executor(executor)
        self.isolate = isolate
        self.workers = workers
        self.host = host
        self.resume = resume
        self.score_epoch = score_epoch
        self.keep_weights = keep_weights
        self.bar: ProgressBar | None = None
        self.folded: FoldedData | None = None
        checked = add_measured_costs(check_constraints(constraints), oracle)
        self.checker = (
            ConstraintChecker(checked, self._build_values) if checked else None
        )
        self.given_space = oracle.get_space()
        self.proxy = OracleProxy(oracle, stopper, self.checker, self.limits)
        self.seed = oracle.seed
        super().__init__(
            oracle=oracle,
            hypermodel=hypermodel,
            directory=directory,
            project_name=project_name,
            overwrite=self._may_overwrite(overwrite, directory, project_name),
            executions_per_trial=check_integer(
                executions_per_trial, "executions_per_trial", minimum=1
            ),
            **kwargs,
        )
        if self.checker is not None and is_local(self.project_dir):
            keep_costs(self.checker.constraints, self.project_dir)

    def search(self, *args: Any, **kwargs: Any) -> None:
        """Searches; the arguments are those of `fit`, for every trial.

        With `folds`, `x` and `y` hold all samples and validation data are
        omitted. `x` may then be a function of sample ids that returns
        `(x, y)`, with `num_samples=`; `groups=` keeps the samples of a group
        in one fold. `verbose` is 0, 1 for one progress bar, or 2 for the
        table and the progress of each trial.

        Args:
            *args: Positional arguments of `fit`, `HyperModel.fit` or
                `run_trial`.
            **kwargs: Keyword arguments of `fit`, `HyperModel.fit` or
                `run_trial`.

        Raises:
            ValueError: If an argument is wrong, no candidate meets the
                constraints, or the project folder holds trials that are
                newer than this tuner.
            RuntimeError: If another search is running in the project folder.
        """
        trains_itself = type(self).run_trial is TrialTrainer.run_trial
        calls_model_fit = (
            trains_itself
            and type(self.hypermodel).fit is keras_tuner.HyperModel.fit
        )
        # The arguments of an overridden `fit` or `run_trial` may differ.
        if calls_model_fit or self.folds is not None:
            args, kwargs = (), bind_fit_arguments(args, kwargs)
        else:
            kwargs = dict(kwargs)
        if calls_model_fit or "callbacks" in kwargs:
            kwargs["callbacks"] = check_callbacks(kwargs.get("callbacks"))
        max_trials = self.proxy.oracle.max_trials
        self.folded = split_samples(self.folds, kwargs, max_trials)
        if trains_itself:
            fit, callbacks = self.hypermodel.fit, kwargs.get("callbacks")
            check_override(fit, callbacks, self.stopper, self.folded)
        self.search_epochs = kwargs.get("epochs")
        if self.stopper is not None:
            self.stopper.on_search_begin(int(kwargs.get("epochs", 1)))
        given = kwargs.get("verbose", "auto")
        verbose = 1 if given == "auto" else int(given)
        if calls_model_fit or "verbose" in kwargs:
            kwargs["verbose"] = verbose if verbose == 2 else 0
        self.limits.begin()
        self.proxy.ran_out_of_candidates = False
        self.proxy.is_exhausted = False
        self.bar = ProgressBar(self.proxy.oracle, verbose == 1)
        self.oracle.verbose = verbose if verbose == 2 else 0
        checks = self.checker.constraints if self.checker else ()
        confirms = self.confirm > 0 and not self._is_worker()
        if confirms and verbose:
            oracle = self.proxy.oracle
            print(describe_budget(self.confirm, self.confirm_seeds, oracle))
        with self._hold_project(), keep_converter(checks):
            if self.executor is None:
                super().search(*args, **kwargs)
            else:
                from keras_netopt.search.running.parallel_search import (
                    run_parallel_search,
                )

                run_parallel_search(self, args, kwargs)
            if reason := self.proxy.end_reason():
                if not self._is_worker():
                    self.oracle.save()  # The board tells the reason.
                if verbose and not self.proxy.ran_out_of_candidates:
                    print(f"The search ended early: {reason}.")
            if confirms:
                self.confirmation = confirm_best(self, args, kwargs)
                if self.keep_weights == "best":
                    self._delete_weights()
                if verbose:
                    print(self.confirmation)
        self._report_end()

    def on_search_begin(self) -> None:
        """Saves the project, so that a crash in the first trial resumes."""
        super().on_search_begin()
        self.save()

    def on_trial_end(self, trial: Any) -> None:
        """Ends a trial and deletes the weights that are not kept."""
        super().on_trial_end(trial)
        if self.keep_weights == "best" and not self._is_worker():
            self._delete_weights(self.confirm)
        if self.bar is not None:
            self.bar.update()

    def on_search_end(self) -> None:
        """Closes the progress bar."""
        super().on_search_end()
        if self.bar is not None:
            self.bar.close()

    def refit(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
        """Trains a new model with the best hyperparameters on all samples.

        Args:
            x: Inputs, as in `fit`.
            y: Targets. Defaults to `None`.
            **kwargs: Further arguments of `fit`. `epochs` defaults to the
                number of epochs of the best trial up to its score; if
                `search` had no `epochs`, your `HyperModel.fit` decides.

        Returns:
            The trained model.

        Raises:
            ValueError: If no trial is completed.
        """
        best = self.oracle.get_best_trials(1)
        if not best:
            failed = len(self.oracle.trials)
            remedy = (
                "`search.leaderboard` lists their errors"
                if failed
                else "call `search` first"
            )
            raise ValueError(
                f"`refit` needs a completed trial: {remedy}. Received: "
                f"{count(failed, 'trial')}, 0 completed"
            )
        self.current_seed = self.execution_seed(best[0].trial_id, "refit")
        model = self._try_build(best[0].hyperparameters)
        kwargs = {**refit_arguments(self, best[0]), **kwargs}
        self.hypermodel.fit(best[0].hyperparameters, model, x, y, **kwargs)
        return model

    def _build_values(self, values: dict[str, Any]) -> Any:
        hp = self.proxy.oracle.get_space()
        hp.values = dict(values)
        return self._build_hypermodel(hp)

    def _report_end(self) -> None:
        reason = self.proxy.end_reason()
        if self._is_worker():
            return
        trials = self.proxy.oracle.trials
        if trials and not self.oracle.get_best_trials(1):
            warnings.warn(
                f"No trial was completed: {count(len(trials), 'trial')} "
                f"failed. `search.leaderboard({self.project_dir!r})` lists "
                "the errors.",
                NoEffectWarning,
                stacklevel=3,
            )
        if not self.proxy.ran_out_of_candidates:
            return
        if not self.proxy.oracle.trials:
            raise ValueError(
                "Argument `constraints` must allow some candidate. "
                f"Received: {reason}"
            )
        warnings.warn(
            f"The search ended early: {reason}.", NoEffectWarning, stacklevel=3
        )
