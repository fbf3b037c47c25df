"""Points drawn at random."""

from keras_netopt.search.oracles.base import SearchOracle
from keras_netopt.search.space import Values


class RandomSearch(SearchOracle):
    """Draws points at random, none twice, until the space is exhausted.

    Each active hyperparameter is uniform on its own scale: in the logarithm
    with `sampling="log"`. The control of every other method.

    Example:

    >>> import keras_tuner
    >>> from keras_netopt.search import RandomSearch
    >>> hp = keras_tuner.HyperParameters()
    >>> _ = hp.Choice("units", [16, 32])
    >>> oracle = RandomSearch("val_loss", 10, seed=0, hyperparameters=hp)
    >>> oracle.populate_space("0")
    {'status': 'RUNNING', 'values': {'units': 16}}

    Args:
        objective: As in `SearchOracle`.
        max_trials: As in `SearchOracle`. Defaults to `10`.
        **options: `seed`, `points` and all else of `SearchOracle`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or there is nothing to
            search.

    Reference:
        Bergstra and Bengio 2012, *Random Search for Hyper-Parameter
        Optimization*, JMLR 13.
    """

    learns = False

    def suggest(self, trial_id: str) -> Values | None:
        """Returns a random point."""
        return self.space.random(self._rng)
