"""When a whole search has gone on for long enough."""

import time

from keras_netopt.checks import (
    check_integer,
    check_positive,
)


class SearchLimits:
    """Ends a search by time, or when it finds nothing better.

    Args:
        max_time: Seconds of one call of `search`, above 0, or `None`. Trials
            that run are not cut off.
        patience: Trials in a row that may end without a better score, at
            least 1, or `None`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
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
        """Called when `search` is."""
        self._begun = time.monotonic()
        self.reason: str | None = None

    def are_reached(self, scores: list[float]) -> bool:
        """Says whether no new trial should begin.

        Args:
            scores: Of the trials that have ended, in this order, lower is
                better.
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
