"""Grid search."""

from collections.abc import Iterator
from typing import Any

from keras_netopt.checks import check_integer
from keras_netopt.search.oracles.search_oracle import SearchOracle
from keras_netopt.search.search_space import SearchSpace, Values


class GridSearchOracle(SearchOracle):
    """Tries all combinations in order; the last hyperparameter varies first.

    Values are in numeric or declared order. The next point is the first one
    of the grid that has not been tried, also after a resume, after
    `initial_points`, or when the space has grown.

    Example:

    >>> import keras_tuner
    >>> from keras_netopt.search import GridSearchOracle
    >>> hp = keras_tuner.HyperParameters()
    >>> _ = hp.Choice("units", [16, 32])
    >>> _ = hp.Float("rate", 1e-4, 1e-2, sampling="log")
    >>> oracle = GridSearchOracle("val_loss", levels=3, hyperparameters=hp)
    >>> [point["rate"] for point in oracle.grid()][:3]
    [0.0001, 0.001, 0.01]

    Args:
        objective: As in `SearchOracle`.
        max_trials: Maximum number of trials. Defaults to `None`: the whole
            grid.
        levels: Number of values of a range without a `step`, evenly spaced on
            the scale of its `sampling`, both ends included. At least 1.
            Defaults to `10`.
        **options: Other arguments of `SearchOracle`, without `warm_start`;
            `seed` has no effect on the grid.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    unsupported = ("warm_start",)

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
        *,
        levels: int = 10,
        **options: Any,
    ) -> None:
        self.levels = check_integer(levels, "levels", minimum=1)
        # Position in the grid; recomputed after a resume.
        self._walk: (
            tuple[SearchSpace, Iterator[Values], Values | None] | None
        ) = None
        super().__init__(objective, max_trials, **options)

    def grid(self) -> Iterator[Values]:
        """Yields all points of the grid in order."""
        return self.space.grid(self.levels)

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
