"""KerasTuner's Tuner with folds, stoppers, constraints and executors."""

import warnings
from pathlib import Path
from typing import Any

import keras_tuner

from keras_netopt.checks import check_bool, check_choice, check_integer
from keras_netopt.search.constraints import Bounds, check_constraints
from keras_netopt.search.folds import FoldedData, as_folds, folded
from keras_netopt.search.running import fit_arguments
from keras_netopt.search.running.oracle_proxy import OracleProxy
from keras_netopt.search.running.progress_bar import ProgressBar
from keras_netopt.search.running.project import (
    check_main_guard,
    check_project,
    facts,
)
from keras_netopt.search.running.search_limits import SearchLimits
from keras_netopt.search.running.trainer import (
    BEST,
    RESUME,
    SCORES,
    Trainer,
)
from keras_netopt.search.stoppers import Stopper
from keras_netopt.search.storage import write_json
from keras_netopt.warnings import NoEffectWarning

KEEP = ("all", "best")


class Tuner(Trainer):
    """Searches the hyperparameters of a model: `keras_tuner.Tuner` and more.

    Takes the place of `keras_tuner.Tuner` with any oracle, KerasTuner's own
    included. It reports every epoch to the oracle, so that a `stopper` can
    end a trial; it validates on `folds`; it never trains a model that breaks
    a `constraint`; it runs trials in fresh processes or on a cluster; and a
    search that was killed goes on where it was.

    Weights of each trial start from a seed made of the oracle's seed and the
    trial's name, so that a trial gives the same result wherever it runs.

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
    ...     oracle=netopt.search.RandomSearch("val_loss", max_trials=3),
    ...     stopper=netopt.search.ASHA(eta=3),
    ...     directory="runs",
    ... )
    >>> tuner.oracle.get_space().get("units")
    4

    Args:
        hypermodel: A function of `hp` that returns a compiled model, or a
            `keras_tuner.HyperModel`.
        oracle: Which values to try: `search.TPE(...)`, another oracle of this
            package or one of KerasTuner.
        stopper: Ends trials early: `search.ASHA()`, `Median()` or
            `Patience()`. Decides in the first fold and execution only.
            Defaults to `None`.
        folds: Number of folds, "stratified", a `search.KFold`, or an object
            with scikit-learn's `split`. The score is the mean over folds of
            each one's best epoch, which is optimistic (see `score`). Defaults
            to `None`: what `search` is given validates.
        executions: Trainings of each trial with other initial weights; their
            mean counts. Defaults to `1`.
        constraints: What a model may cost at most, e.g.
            `[search.MaxMACs(2e6)]`, found out before a trial begins.
            Defaults to `()`.
        executor: Where trials run. Defaults to `None`: here, one after the
            other. `search.local_processes(n)`, a `concurrent.futures`
            executor, or a function without arguments that makes one.
        isolate: Whether each trial starts a process of its own where the
            executor's workers live on, as dask's do: their memory does not
            grow. Defaults to `False`.
        workers: Trials at a time, where the executor does not tell. Defaults
            to `None`.
        host: Address under which workers reach this process. Defaults to
            `"127.0.0.1"`.
        max_time: Seconds after which no new trial begins, of each call of
            `search`. Defaults to `None`.
        patience: Trials in a row without a better score after which no new
            one begins. Defaults to `None`.
        resume: "epoch": a trial that was cut off goes on behind its last
            epoch, which may change its result slightly; "trial": it begins
            again, and the search equals one that was never interrupted.
            Defaults to `"epoch"`.
        score: Which epoch of a training counts, and whose weights are kept:
            "best", or "last" where earlier ones are no candidates, as with
            pruning, growing and schedules; the values of all epochs are then
            the trial's metric "epoch/<objective>". Defaults to `"best"`.
        keep: Whose weight files are kept: "all" or "best". Defaults to
            `"all"`.
        directory: Folder of projects. Defaults to `None`: here.
        project_name: Folder of this search. Defaults to `None`:
            "untitled_project".
        overwrite: Whether to start over where the folder holds a search.
            Defaults to `False`: that search goes on.
        **kwargs: As in `keras_tuner.Tuner`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or the folder holds
            another search.
    """

    def __init__(
        self,
        hypermodel: Any = None,
        oracle: Any = None,
        *,
        stopper: Stopper | None = None,
        folds: Any = None,
        executions: int = 1,
        constraints: Any = (),
        executor: Any = None,
        isolate: bool = False,
        workers: int | None = None,
        host: str = "127.0.0.1",
        max_time: float | None = None,
        patience: int | None = None,
        resume: str = "epoch",
        score: str = "best",
        keep: str = "all",
        directory: Any = None,
        project_name: str | None = None,
        overwrite: bool = False,
        **kwargs: Any,
    ) -> None:
        check_main_guard()
        _check_parts(hypermodel, oracle, stopper, type(self))
        check_choice(resume, "resume", RESUME)
        check_choice(score, "score", SCORES)
        check_choice(keep, "keep", KEEP)
        if check_bool(isolate, "isolate") and executor is None:
            raise ValueError(
                "Argument `isolate` belongs to `executor`, which this tuner "
                "has not: use `search.local_processes(n)` for fresh "
                "processes. Received: isolate=True, executor=None"
            )
        if workers is not None:
            check_integer(workers, "workers", minimum=1)
        self.folds = as_folds(folds)
        self.stopper = stopper
        self.limits = SearchLimits(max_time, patience)
        self.executor = executor
        self.isolate = isolate
        self.workers = workers
        self.host = host
        self.resume = resume
        self.score = score
        self.keep = keep
        self.bar: ProgressBar | None = None
        self.folded: FoldedData | None = None
        bounded = check_constraints(constraints)
        self.bounds = Bounds(bounded, self._build_values) if bounded else None
        self.watch = OracleProxy(oracle, stopper, self.bounds, self.limits)
        self.seed = oracle.seed
        super().__init__(
            oracle=oracle,
            hypermodel=hypermodel,
            directory=directory,
            project_name=project_name,
            overwrite=overwrite,
            executions_per_trial=check_integer(
                executions, "executions", minimum=1
            ),
            **kwargs,
        )

    def search(self, *args: Any, **kwargs: Any) -> None:
        """Searches: `fit`'s arguments, for every trial.

        With `folds`, `x` and `y` hold all samples and validation data are
        left out; `groups=` keeps samples together, and `x` may be a function
        of ids that returns `(x, y)`, with `n=` samples in all. `verbose` is 0,
        1 for one bar over all trials, or 2 for each trial's own table and bar.

        Args:
            *args: Arguments of `fit` by position.
            **kwargs: Arguments of `fit` by name.

        Raises:
            ValueError: If there is nothing to search, an argument does not
                fit, or no candidate keeps the constraints.
        """
        named = fit_arguments.by_name(args, kwargs)
        named["callbacks"] = fit_arguments.check_callbacks(
            named.get("callbacks")
        )
        self._check_space()
        self._split(named)
        if self.stopper is not None:
            self.stopper.prepare(int(named.get("epochs", 1)))
        verbose = named.pop("verbose", "auto")
        verbose = 1 if verbose == "auto" else int(verbose)
        named["verbose"] = verbose if verbose == 2 else 0
        self.limits.begin()
        self.watch.gave_up = False
        self.bar = ProgressBar(self.watch.oracle, verbose == 1)
        self.oracle.verbose = named["verbose"]
        if self.executor is None:
            super().search(**named)
        else:
            from keras_netopt.search.running.driver import drive

            drive(self, named)
        self._say_why_it_ended()

    def on_search_begin(self) -> None:
        """Saves, so that a crash in the first trial loses nothing."""
        super().on_search_begin()
        self.save()

    def on_trial_end(self, trial: Any) -> None:
        """Hands the trial back and drops weights that nobody asks for."""
        super().on_trial_end(trial)
        if self.keep == "best" and not self._is_worker():
            self._drop_weights()
        if self.bar is not None:
            self.bar.update()

    def on_search_end(self) -> None:
        """Ends the bar."""
        super().on_search_end()
        if self.bar is not None:
            self.bar.close()

    def refit(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
        """Trains the best configuration on all samples.

        Args:
            x: Inputs, as `fit` takes them.
            y: Targets. Defaults to `None`.
            **kwargs: Further arguments of `fit`. `epochs` defaults to those
                that the best trial needed for its score.

        Returns:
            The trained model.

        Raises:
            ValueError: If no trial has been completed.
        """
        best = self.oracle.get_best_trials(1)
        if not best:
            raise ValueError(
                "`refit` needs a completed trial: call `search` first. "
                "Received: none"
            )
        self.seed_now = self.seed_of(best[0].trial_id, "refit")
        model = self._try_build(best[0].hyperparameters)
        epochs = kwargs.pop("epochs", int(best[0].best_step) + 1)
        self.hypermodel.fit(
            best[0].hyperparameters, model, x, y, epochs=epochs, **kwargs
        )
        return model

    def get_state(self) -> dict[str, Any]:
        """Returns what tells this search from another one."""
        return {**super().get_state(), "netopt": facts(self)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Refuses the state of another search."""
        super().set_state(state)
        check_project(self, state.get("netopt"))

    def save(self) -> None:
        """Saves the oracle and the tuner, each as a whole or not at all."""
        if not self._is_worker():
            self.oracle.save()
        write_json(self._get_tuner_fname(), self.get_state())

    def _build_values(self, values: dict[str, Any]) -> Any:
        hp = self.watch.oracle.get_space()
        hp.values = dict(values)
        return self._build_hypermodel(hp)

    def _check_space(self) -> None:
        if self.hypermodel is None or self._is_worker():
            return
        if type(self.hypermodel).fit is not keras_tuner.HyperModel.fit:
            return  # It may ask in `fit`, which the first trial finds out.
        space = self.watch.oracle.get_space().space
        fixed = keras_tuner.engine.hyperparameters.Fixed
        if all(isinstance(one, fixed) for one in space):
            raise ValueError(
                "Argument `hypermodel` must ask for at least one "
                "hyperparameter, as in `hp.Int('units', 8, 64)`. "
                f"Received: a space of {[one.name for one in space]}"
            )

    def _split(self, named: dict[str, Any]) -> None:
        """Takes the samples out of the arguments where folds split them."""
        groups, n = named.pop("groups", None), named.pop("n", None)
        self.folded = None
        if self.folds is None:
            for name, value in (("groups", groups), ("n", n)):
                if value is not None:
                    raise ValueError(
                        f"Argument `{name}` belongs to `folds`, which this "
                        f"tuner has not. Received: {name} without folds"
                    )
            return
        fit_arguments.check_folded(named)
        self.folded = folded(
            self.folds,
            named.pop("x", None),
            named.pop("y", None),
            named.pop("sample_weight", None),
            n=n,
            groups=groups,
        )

    def _drop_weights(self) -> None:
        best = self.watch.oracle.get_best_trials(1)
        kept = best[0].trial_id if best else None
        for trial_id in self.watch.oracle.end_order:
            if trial_id != kept:
                path = Path(self.get_trial_dir(trial_id)) / BEST
                path.unlink(missing_ok=True)

    def _say_why_it_ended(self) -> None:
        told = self.watch.why_it_ended()
        if told is None or self._is_worker():
            return
        if self.watch.gave_up and not self.watch.oracle.trials:
            raise ValueError(
                "Argument `constraints` must hold for some candidate. "
                f"Received: {told}"
            )
        if self.watch.gave_up:
            warnings.warn(
                f"The search ended early: {told}.",
                NoEffectWarning,
                stacklevel=3,
            )


def _check_parts(
    hypermodel: Any, oracle: Any, stopper: Any, kind: type[Trainer]
) -> None:
    if isinstance(hypermodel, keras_tuner.Oracle):
        raise TypeError(
            "Argument `hypermodel` must be a function of `hp` or a "
            "`HyperModel`; the oracle is passed by name, `oracle=...`. "
            f"Received: hypermodel={type(hypermodel).__name__}"
        )
    if not isinstance(oracle, keras_tuner.Oracle):
        raise TypeError(
            "Argument `oracle` must be an oracle, as in "
            '`search.TPE("val_loss", max_trials=50)`. '
            f"Received: oracle={oracle!r}"
        )
    if stopper is not None and not isinstance(stopper, Stopper):
        raise TypeError(
            "Argument `stopper` must be `search.ASHA()`, `Median()`, "
            f"`Patience()` or a `Stopper`. Received: stopper={stopper!r}"
        )
    if hypermodel is None and kind.run_trial is Trainer.run_trial:
        raise ValueError(
            "Argument `hypermodel` must be given, unless a subclass overrides "
            "`run_trial`. Received: hypermodel=None"
        )
