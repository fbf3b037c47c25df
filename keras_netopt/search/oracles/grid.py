"""Every point of a grid, in order."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from keras_netopt.checks import check_integer
from keras_netopt.search.oracles.base import SearchOracle
from keras_netopt.search.space import Space, Values


class GridSearch(SearchOracle):
    """Tries all combinations in order, the last hyperparameter fastest.

    Values go in numeric or declared order. The next point is the first one
    that has not been tried, so a search that was killed, that has had
    `points`, or whose space has grown goes on where it should.

    Example:

    >>> import keras_tuner
    >>> from keras_netopt.search import GridSearch
    >>> hp = keras_tuner.HyperParameters()
    >>> _ = hp.Choice("units", [16, 32])
    >>> _ = hp.Float("rate", 1e-4, 1e-2, sampling="log")
    >>> oracle = GridSearch("val_loss", levels=3, hyperparameters=hp)
    >>> [point["rate"] for point in oracle.grid()][:3]
    [0.0001, 0.001, 0.01]

    Args:
        objective: As in `SearchOracle`.
        max_trials: Most trials. Defaults to `None`: the whole grid.
        levels: Values of a range without a `step`, evenly spaced on its own
            scale, ends included. At least 1. Defaults to `10`.
        seed: Taken as by all oracles; a grid draws nothing. Defaults to
            `None`.
        points: As in `SearchOracle`. Defaults to `None`.
        defaults_first: As in `SearchOracle`. Defaults to `True`.
        **options: All else of `SearchOracle`, without `warm_start`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or there is nothing to
            search.
    """

    learns = False

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
        *,
        levels: int = 10,
        seed: int | None = None,
        points: Sequence[Mapping[str, Any]] | None = None,
        defaults_first: bool = True,
        **options: Any,
    ) -> None:
        self.levels = check_integer(levels, "levels", minimum=1)
        # Where the walk through the grid stands; found again after a resume.
        self._walk: tuple[Space, Iterator[Values], Values | None] | None = None
        super().__init__(
            objective,
            max_trials,
            seed=seed,
            points=points,
            defaults_first=defaults_first,
            **options,
        )

    def grid(self) -> Iterator[Values]:
        """Yields the points of the grid in order, tried or not."""
        return self.space.cells(self.levels)

    def suggest(self, trial_id: str) -> Values | None:
        """Returns the first point that has not been tried."""
        tried, key = self._tried(), self.space.key
        if self._walk is None or self._walk[0] is not self.space:
            cells = self.grid()
            self._walk = (self.space, cells, next(cells, None))
        space, cells, here = self._walk
        while here is not None and key(here) in tried:
            here = next(cells, None)
        self._walk = (space, cells, here)
        return here
