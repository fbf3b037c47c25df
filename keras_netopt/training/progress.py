"""Counts the training steps of a `fit` call."""

from keras_netopt.points import RunLength


class Progress:
    """Counts the completed training batches of a `fit` call.

    It counts by Keras' epoch and batch numbers. The optimizer's counter
    restarts on `compile`, skips non-finite steps and counts micro-batches
    under gradient accumulation.

    Example:

    >>> progress = Progress(RunLength(steps_per_epoch=10, epochs=2))
    >>> progress.begin_epoch(1)
    >>> progress.end_batch(11)  # steps_per_execution reads beyond the data
    (10, 20)

    Args:
        run: Length of the `fit` call.
    """

    def __init__(self, run: RunLength) -> None:
        self.run = run
        self.step = 0
        self.epoch = 0
        self._epoch_begin = 0

    def begin_epoch(self, epoch: int, *, step: int | None = None) -> None:
        """Updates the position at the beginning of an epoch.

        Args:
            epoch: Keras' number of the epoch, counted from 0.
            step: Completed steps before it, for a resumed `fit` call with
                epochs of unknown length. Defaults to `None`: computed if the
                length is known, counted otherwise.
        """
        self.epoch = epoch
        steps_per_epoch = self.run.steps_per_epoch
        if steps_per_epoch is not None:
            self.step = epoch * steps_per_epoch
        elif step is not None:
            self.step = step
        self._epoch_begin = self.step

    def end_batch(self, batch: int) -> tuple[int, int]:
        """Updates the position at the end of a batch.

        Args:
            batch: Keras' number of the batch in its epoch, from 0; with
                `steps_per_execution` the last one of the call.

        Returns:
            The completed steps before and after; a point in time `u` is due
            when `before < u <= after`.
        """
        before = self.step
        in_epoch = batch + 1
        if self.run.steps_per_epoch is not None:
            in_epoch = min(in_epoch, self.run.steps_per_epoch)
        self.step = max(before, self._epoch_begin + in_epoch)
        return before, self.step
