"""Searches an architecture inside one `fit` call."""

from collections.abc import Iterable
from typing import Any

import keras

from keras_netopt.checks import (
    check_bool,
    check_choice,
    check_integer,
    check_verbose,
)
from keras_netopt.search.bilevel_data import check_order
from keras_netopt.search.constraints import Constraint, check_constraints
from keras_netopt.search.supernet.architecture_report import (
    ArchitectureReport,
)
from keras_netopt.search.supernet.differentiable_search import (
    LOSS,
    DifferentiableSearch,
    check_trainable,
)
from keras_netopt.search.supernet.finish_search import (
    describe_collapse,
    finish_search,
)
from keras_netopt.search.supernet.search_arguments import (
    SAMPLING,
    check_data,
    check_method,
    check_metric,
    check_monitor,
    make_optimizer,
)
from keras_netopt.search.supernet.search_data import (
    SearchData,
    check_validation_data,
    has_batch_norm,
)
from keras_netopt.search.supernet.shrinking_progress import (
    ShrinkingProgress,
    enable_all,
)
from keras_netopt.search.supernet.supernet_search import SupernetSearch
from keras_netopt.serialization import export_class
from keras_netopt.training import (
    Arrays,
    NoEffectWarning,
    NotIntendedUseWarning,
    ResumableCallback,
)
from keras_netopt.training.order import LOGGERS, find_fit_arguments
from keras_netopt.warnings import SearchCollapseWarning


@export_class
class ArchitectureSearch(ResumableCallback):
    """Searches an architecture while the weights of all of them train.

    The model holds `layers.Choice` or elastic layers. `"single_path"` trains
    one random architecture per step and, at the end of the fit, searches the
    best one by evolution on validation data, with the weights as trained. It
    needs memory and time of one network and keeps limits on its cost.
    `"darts"` trains the weighted sum of all candidates, and the weights of
    the sum by gradients on data of their own, from `search.dataset`; it needs
    memory and time of all candidates together.

    After the fit `search.extract(model)` returns the found network, and
    `report()` compares it with random ones of equal cost: a search that does
    not beat those has found nothing. Ranks of inherited weights differ from
    those of trained networks; `search.compare_architectures` trains a few.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> wide = keras.layers.Dense(8, activation="relu", name="wide")
    >>> skip = keras.layers.Identity(name="skip")
    >>> model = keras.Sequential(
    ...     [keras.Input((8,)), netopt.layers.Choice([wide, skip], name="c")])
    >>> model.add(keras.layers.Dense(3))
    >>> model.compile("adam", "mse")
    >>> x, y = np.random.normal(size=(64, 8)), np.zeros((64, 3))
    >>> data = netopt.search.dataset(x, y, batch_size=8)
    >>> search = netopt.callbacks.ArchitectureSearch()
    >>> history = model.fit(data, epochs=2, verbose=0, callbacks=[search])
    >>> sorted(search.architecture)
    ['c']
    >>> small = netopt.search.extract(model)

    Args:
        method: "single_path" or "darts". Defaults to `"single_path"`.
        order: Order of the gradient of "darts": 1 uses the weights as they
            are, 2 those after a virtual step, at 2.5 times the cost per
            weight step. Defaults to `1`.
        architecture_optimizer: The Keras optimizer of "darts" for the weights
            of the sum. Defaults to `None`: Adam with a learning rate of 3e-3
            and `beta_1=0.5`.
        sampling: How training uses the candidates: "fair" (each once per K
            steps), "uniform" or "sandwich" (largest, smallest, two random
            ones) of a single path; "mixture" or "gumbel" of "darts". Defaults
            to `None`: "fair" or "mixture".
        constraints: Upper limits of "single_path" on the costs of the found
            architecture: `search.MaxMACs`, `MaxParams`, `MaxBytes`,
            `MaxLatency`, or a list. Defaults to `()`.
        evaluations: Number of architectures that "single_path" evaluates, at
            least 2; a smaller space is enumerated. Defaults to `1000`.
        validation_data: Inputs and targets `(x, y)` that rank architectures.
            Defaults to `None`: the validation half of `search.dataset`, or
            the `validation_data` of `fit`.
        monitor: The metric of the ranking, without "val_". Defaults to
            `"auto"`: the accuracy if there is one, else the loss.
        mode: "max", "min" or "auto". Defaults to `"auto"`.
        progressive_shrinking: Whether elastic layers train their largest
            size first, then smaller kernels, depths and widths, in stages of
            equal numbers of epochs. Defaults to `False`.
        verbose: Whether a progress bar shows the evaluations, 0, 1 or "auto":
            as in `fit`. Defaults to `"auto"`.
        seed: Seed of samples and evolution, an int of at least 0. Defaults to
            `0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, the model has no choices,
            no architecture keeps the constraints, "single_path" has no
            validation data, "darts" cannot use the optimizer, or order 2 gets
            other data than `search.dataset`.

    Reference:
        Liu et al., *DARTS: Differentiable Architecture Search*, 2019,
        https://arxiv.org/abs/1806.09055. "single_path": Guo et al., 2020,
        https://arxiv.org/abs/1904.00420. "fair": Chu et al., 2021,
        https://arxiv.org/abs/1907.01845.
    """

    must_follow = ("EarlyStopping(restore_best_weights=True)",)
    # A backup is deleted at the end of the training, a search takes longer.
    should_precede = ("BackupAndRestore", *LOGGERS)
    conflicts_with = (
        "ChannelPruning",
        "Growing",
        "LearningRateFinder",
        "Pruning",
        "Quantization",
    )
    log_keys = {
        "architecture_entropy": "mean entropy of the shares of the options of "
        "a decision, in nats",
        "architecture_share": "mean share of the most likely option of a "
        "decision, in (0, 1]",
        "expected_macs": "mean MACs of one sample where options have these "
        "shares",
        LOSS: "mean loss of the steps in which the architecture is trained; "
        'only with `method="darts"`',
    }
    data_args = ("validation_data",)

    def __init__(
        self,
        method: str = "single_path",
        *,
        order: int = 1,
        architecture_optimizer: Any = None,
        sampling: str | None = None,
        constraints: Constraint | Iterable[Constraint] = (),
        evaluations: int = 1000,
        validation_data: Any = None,
        monitor: str = "auto",
        mode: str = "auto",
        progressive_shrinking: bool = False,
        verbose: int | str = "auto",
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_choice(method, "method", SAMPLING)
        check_order(order)
        if sampling is not None:
            check_choice(sampling, "sampling", SAMPLING[method])
        check_integer(evaluations, "evaluations", minimum=2)
        check_validation_data(validation_data)
        check_metric(monitor, mode)
        check_verbose(verbose)
        check_integer(seed, "seed")
        self.method = method
        self.order = order
        self.architecture_optimizer = architecture_optimizer
        self.sampling = sampling
        self.constraints = check_constraints(constraints)
        self.evaluations = evaluations
        self.validation_data = validation_data
        self.monitor = monitor
        self.mode = mode
        self.progressive_shrinking = check_bool(
            progressive_shrinking, "progressive_shrinking"
        )
        self.verbose = verbose
        self.seed = seed
        check_method(method, vars(self))
        make_optimizer(architecture_optimizer)
        self._differentiable: DifferentiableSearch | None = None
        self._data = SearchData()
        self.reset()

    def reset(self) -> None:
        """Resets the state that belongs to one model.

        After a `fit` call that was interrupted it puts back weights that a
        virtual step has displaced, loss and optimizer, as the next `fit` does.
        """
        self._release()
        self._space: SupernetSearch | None = None
        self._logs: dict[str, float] = {}
        self._steps = 0
        self._shrinking: ShrinkingProgress | None = None
        self._report: ArchitectureReport | None = None
        self._has_collapsed = False

    @property
    def architecture(self) -> dict[str, int] | None:
        """Index of the found option by decision; `None` before the end."""
        found = self._report
        return None if found is None else dict(found.architecture)

    def log_names(self) -> tuple[str, ...]:
        """Returns the keys that the method adds to `logs`."""
        names = super().log_names()
        return names if self.method == "darts" else names[:-1]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras."""
        self._release()
        self._has_collapsed = False
        self._steps = 0
        super().on_train_begin(logs)

    def on_model_ready(self, model: keras.Model) -> None:
        """Checks model and data, and prepares the training step."""
        arguments = find_fit_arguments(model)
        self._data = SearchData.find(arguments, self.validation_data)
        self._shrinking = None
        if self.progressive_shrinking:
            self._shrinking = ShrinkingProgress(model, self.params["epochs"])
        self._space = SupernetSearch(model, self.constraints, self.seed)
        misuse = check_data(
            self.method,
            self.order,
            self._data,
            has_norm=has_batch_norm(model),
        )
        if misuse is not None:
            self.warn(NotIntendedUseWarning, misuse)
        if self._space.space == 1:
            self.warn(
                NoEffectWarning,
                "every decision of the model allows one option only. Enable "
                "others.",
            )
        if self.method == "darts":
            check_trainable(model, self._space.decisions)
            self._differentiable = DifferentiableSearch(
                model,
                self._space.decisions,
                make_optimizer(self.architecture_optimizer),
                self.order,
            )
        if self._data.bilevel is not None:
            self._data.bilevel.trains_only = self.method != "darts"
        self._space.set_modes(self.sampling or SAMPLING[self.method][0])

    def on_resume(self, model: keras.Model) -> None:
        """Continues the steps of a checkpoint."""
        saved = self.loaded_state()
        if saved is not None:
            self._steps = saved[0]["steps"]
            if self._shrinking is not None:
                self._shrinking.resume(saved[0]["stage"])
            if self._differentiable is not None:
                self._differentiable.set_arrays(saved[1])

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras."""
        super().on_epoch_begin(epoch, logs)
        if self._data.bilevel is not None:
            self._data.bilevel.epoch = epoch
        if self._differentiable is not None:
            self._differentiable.begin_epoch()
        if self._shrinking is not None:
            self._shrinking.begin_epoch(epoch)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras."""
        check_monitor(self.monitor, logs)
        super().on_train_batch_end(batch, logs)

    def on_steps(self, before: int, after: int) -> None:
        """Counts steps."""
        self._steps += after - before

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras; reads the shares of the options."""
        if self._space is not None:
            self._logs = self._space.logs()
        if self._space is not None and self._differentiable is not None:
            self._logs |= self._differentiable.logs()
            shares = self._space.shares()
            self._warn_of_collapse(describe_collapse(self._space, shares))
        super().on_epoch_end(epoch, logs)
        self._logs = {}

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras, after no epoch if a backup holds the last one."""
        if self._attached and not self._started:
            super().on_epoch_begin(self.params["epochs"])
        super().on_train_end(logs)

    def on_fit_end(self, model: keras.Model) -> None:
        """Searches, and compares the result with random architectures."""
        data = self._data
        self._release()
        if self._shrinking is not None:
            enable_all(model)
        if self._space is not None:
            self._report = finish_search(
                self._space,
                data,
                method=self.method,
                monitor=self.monitor,
                mode=self.mode,
                verbose=self._shows_progress(),
                evaluations=self.evaluations,
                steps=self._steps,
            )
            self._warn_of_collapse(self._report.collapse)

    def progress_logs(self) -> dict[str, float]:
        """Returns the state of the search at the end of an epoch."""
        return self._logs

    def get_state(self) -> dict[str, Any]:
        """Returns the number of steps so far, and the current stage."""
        held = self._shrinking
        stage = -1 if held is None else held.stage
        return {"steps": self._steps, "stage": stage}

    def save_state(self) -> tuple[dict[str, Any], Arrays]:
        """Adds the state of the optimizer of the architecture."""
        state, _ = super().save_state()
        held = self._differentiable
        return state, {} if held is None else held.get_arrays()

    def report(self) -> ArchitectureReport:
        """Returns the found architecture beside random ones.

        Raises:
            ValueError: Before the end of a `fit` call.
        """
        if self._report is None:
            raise self.report_error("found architecture")
        return self._report

    def _settings(self) -> dict[str, Any]:
        found = super()._settings()  # `verbose` may differ between runs.
        held = found.get("architecture_optimizer")
        if isinstance(held, dict):
            config = {k: v for k, v in held["config"].items() if k != "name"}
            found["architecture_optimizer"] = {**held, "config": config}
        return {k: v for k, v in found.items() if k != "verbose"}

    def _shows_progress(self) -> bool:
        if self.verbose != "auto":
            return bool(self.verbose)
        return bool(self.params.get("verbose", 0))

    def _warn_of_collapse(self, text: str | None) -> None:
        if text is not None and not self._has_collapsed:
            self._has_collapsed = True
            self.warn(
                SearchCollapseWarning,
                f"operations without weights take over: {text}. Train the "
                "weights longer before the architecture, regularize less, or "
                "compare with random architectures in `report()`.",
            )

    def _release(self) -> None:
        """Leaves model and data as they are without the search."""
        if self._differentiable is not None:
            self._differentiable.remove()
            self._differentiable = None
        if self._data.bilevel is not None:
            self._data.bilevel.release()
        self._data = SearchData()
