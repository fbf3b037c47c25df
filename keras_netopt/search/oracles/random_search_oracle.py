"""Random search."""

from keras_netopt.search.oracles.search_oracle import SearchOracle
from keras_netopt.search.search_space import Values


class RandomSearchOracle(SearchOracle):
    """Samples points at random, without repetition.

    Each active hyperparameter is uniform on the scale of its `sampling`. The
    baseline of every other method.

    Example:

    >>> import keras_tuner
    >>> from keras_netopt.search import RandomSearchOracle
    >>> hp = keras_tuner.HyperParameters()
    >>> _ = hp.Choice("units", [16, 32])
    >>> oracle = RandomSearchOracle("val_loss", 10, seed=0, hyperparameters=hp)
    >>> oracle.populate_space("0")
    {'status': 'RUNNING', 'values': {'units': 16}}

    Args:
        objective: As in `SearchOracle`.
        max_trials: As in `SearchOracle`. Defaults to `10`.
        **options: Other arguments of `SearchOracle`, without `warm_start`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Reference:
        Bergstra and Bengio 2012, *Random Search for Hyper-Parameter
        Optimization*, JMLR 13.
    """

    unsupported = ("warm_start",)

    def suggest(self, trial_id: str) -> Values | None:
        """Returns a random point."""
        return self.space.random(self._rng)
