"""Limits on the time and the progress of a search."""

import time

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

    def are_reached(self, scores: list[float]) -> bool:
        """Returns whether no new trial should start.

        `scores` are those of the ended trials in the order in which they ended,
        lower is better.
        """
        spent = time.monotonic() - self._begun
        if self.max_time is not None and spent >= self.max_time:
            self.reason = f"`max_time` of {self.max_time:g} s is over"
            return True
        if self.patience is not None and scores:
            since = len(scores) - 1 - scores.index(min(scores))
            if since >= self.patience:
                self.reason = f"no better trial among the last {since}"
                return True
        return False
