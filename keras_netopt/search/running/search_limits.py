"""Limits on the time and the progress of a search."""

import time
from collections.abc import Callable

from keras_netopt.checks import check_integer, check_positive


class SearchLimits:
    """Ends a search after a time, or after trials without improvement.

    Running trials are completed. Both arguments are as in `search.Tuner`.
    """

    def __init__(
        self, max_time: float | None = None, patience: int | None = None
    ) -> None:
        if max_time is not None:
            check_positive(max_time, "max_time")
        if patience is not None:
            check_integer(patience, "patience", minimum=1)
        self.max_time = max_time
        self.patience = patience
        self.begin()

    def begin(self) -> None:
        """Starts the clock of one call of `search`."""
        self._begun = time.monotonic()
        self.reason: str | None = None

    def are_reached(self, read_scores: Callable[[], list[float]]) -> bool:
        """Returns whether no new trial should start.

        `read_scores` returns the scores of the ended trials in the order in
        which they ended, lower is better; it is called if `patience` needs it.
        """
        spent = time.monotonic() - self._begun
        if self.max_time is not None and spent >= self.max_time:
            self.reason = f"`max_time` of {self.max_time:g} s is over"
            return True
        if self.patience is not None and (scores := read_scores()):
            since = len(scores) - 1 - scores.index(min(scores))
            if since >= self.patience:
                self.reason = f"no better trial among the last {since}"
                return True
        return False
