"""One progress bar over all stages of a run."""

import sys
import time
from collections.abc import Mapping

WIDTH = 24


class ProgressLine:
    """Shows the stage, the epochs of the whole run and the best file.

    Args:
        epochs: Epochs of the whole run.
        verbose: 0 shows nothing, 1 a line that is overwritten on a terminal,
            and elsewhere a line per stage and file.
    """

    def __init__(self, epochs: int, verbose: int) -> None:
        self._epochs = epochs
        self._verbose = verbose
        self._done = 0
        self._title = ""
        self._best = ""
        self._started = time.monotonic()
        self._is_terminal = getattr(sys.stdout, "isatty", lambda: False)()

    def begin(self, title: str, done: int) -> None:
        """Shows the title of what begins after `done` epochs."""
        self._title, self._done = title, done
        if self._is_terminal:
            self._draw({})
        else:
            self._print(title)

    def advance(self, values: Mapping[str, float]) -> None:
        """Adds an epoch, with its logs."""
        self._done += 1
        if self._is_terminal:
            self._draw(values)

    def add(self, text: str, is_best: bool) -> None:
        """Shows the figures of a file on a line of its own."""
        if is_best:
            self._best = text
        self._print(text)

    def end(self, text: str) -> None:
        """Shows the result."""
        self._print(text)

    def _draw(self, values: Mapping[str, float]) -> None:
        if not self._verbose:
            return
        share = min(1.0, self._done / max(self._epochs, 1))
        full = int(share * WIDTH)
        bar = "━" * full + "─" * (WIDTH - full)
        shown = [
            f"{name} {value:.4g}"
            for name, value in values.items()
            if name in ("loss", "val_loss", "accuracy", "val_accuracy")
        ]
        parts = [f"{bar} epoch {self._done}/{self._epochs}", self._title]
        line = " · ".join([*parts, *shown, *filter(None, [self._best])])
        sys.stdout.write(f"\r\033[K{line[:150]}")
        sys.stdout.flush()

    def _print(self, text: str) -> None:
        if not self._verbose:
            return
        seconds = time.monotonic() - self._started
        start = "\r\033[K" if self._is_terminal else ""
        place = f"[{self._done}/{self._epochs} epochs, {seconds:.0f} s]"
        print(f"{start}{place} {text}", flush=True)
