"""Progress messages of the demo."""

import time


class ProgressLog:
    """Prints the number and title of each of `count` steps, with the time.

    Example:

    >>> ProgressLog(3).begin("Train")
    [1/3] Train (after 0 s)
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._number = 0
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def begin(self, text: str) -> None:
        """Prints the title of the next step."""
        self._number += 1
        place = f"[{self._number}/{self._count}]"
        print(f"{place} {text} (after {self.seconds:.0f} s)", flush=True)
