"""The tuner that trains the best candidates of a pool by zero-cost proxies."""

from typing import Any

from keras_netopt.search.oracles.zero_cost_oracle import ZeroCostOracle
from keras_netopt.search.running.fit_arguments import bind_fit_arguments
from keras_netopt.search.tuner import Tuner
from keras_netopt.search.tuner_signature import tuner_for
from keras_netopt.search.zero_cost_proxies.zero_cost import (
    take_batch,
    zero_cost,
)
from keras_netopt.training.randomness import set_seed


@tuner_for(ZeroCostOracle)
class ZeroCost(Tuner):
    """Scores a pool of untrained models and trains the best of them.

    For spaces of architectures. Candidates that do not meet `constraints`
    are dropped before the ranking. The scores are those of
    `search.zero_cost`, on the first samples of `search`; hyperparameters of
    the training, such as the learning rate, have no effect on them.
    `tuner.oracle.candidates` holds the ranked pool.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> def build(hp):
    ...     model = keras.Sequential([keras.Input((8,))])
    ...     for i in range(hp.Int("layers", 1, 3)):
    ...         units = hp.Int(f"units_{i}", 4, 64)
    ...         model.add(keras.layers.Dense(units, activation="relu"))
    ...     model.add(keras.layers.Dense(1))
    ...     model.compile("adam", "mse")
    ...     return model
    >>> tuner = netopt.search.ZeroCost(
    ...     build,
    ...     objective="val_loss",
    ...     max_trials=5,
    ...     pool=50,
    ...     constraints=netopt.search.MaxParams(2_000),
    ...     directory="zero_cost",
    ... )
    """

    _batch: tuple[Any, Any] | None = None

    def search(self, *args: Any, **kwargs: Any) -> None:
        """Searches; the arguments are those of `fit`, for every trial.

        Args:
            *args: Positional arguments of `fit`.
            **kwargs: Keyword arguments of `fit`, or `num_samples` and
                `groups` as in `Tuner.search`.

        Raises:
            ValueError: As in `Tuner.search` and `search.zero_cost`.
        """
        oracle = self.proxy.oracle
        if oracle.score is None or oracle.score == self._score_candidate:
            given = bind_fit_arguments(args, dict(kwargs))
            self._batch = take_batch(
                given.get("x"), given.get("y"), oracle.samples
            )
            oracle.score = self._score_candidate
        super().search(*args, **kwargs)

    def _score_candidate(
        self, values: dict[str, Any]
    ) -> dict[str, float] | str:
        """Returns the scores of a candidate, or why it is infeasible."""
        oracle = self.proxy.oracle
        set_seed(self.seed)
        hp = oracle.get_space()
        hp.values = dict(values)
        model = self._build_hypermodel(hp)
        # The next candidates have the hyperparameters that this one has shown.
        oracle.update_space(hp)
        if self.checker is not None:
            found = self.checker.check(model, values)
            if isinstance(found, str):
                return found
        x, y = self._batch or (None, None)
        report = zero_cost(
            model, x, y, proxies=oracle.proxies, samples=oracle.samples
        )
        return dict(report.scores)
