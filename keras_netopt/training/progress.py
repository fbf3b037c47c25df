"""Counts the training steps of a `fit` call."""

from keras_netopt.points import RunLength


class Progress:
    """Counts the completed training batches of a `fit` call.

    It counts by Keras' epoch and batch numbers. The optimizer's counter
    restarts on `compile`, skips non-finite steps and counts micro-batches
    under gradient accumulation. Where the length of an epoch is unknown, all
    epochs count as many steps as the first complete one.
    """

    def __init__(self, run: RunLength) -> None:
        self.run = run
        self.step = 0
        self.epoch = 0
        self._epoch_begin = 0

    def begin_epoch(self, epoch: int, *, step: int | None = None) -> None:
        """Updates the position at the beginning of an epoch, from 0.

        `step` is the number of completed steps before it, for a resumed `fit`
        call with epochs of unknown length; otherwise it is computed from the
        length, or counted.
        """
        self.epoch = epoch
        steps_per_epoch = self.run.steps_per_epoch
        if steps_per_epoch is not None:
            self.step = epoch * steps_per_epoch
        elif step is not None:
            self.step = step
        self._epoch_begin = self.step

    def end_epoch(self) -> None:
        """Counts the steps of an epoch for a callback without batch hooks."""
        if self.run.steps_per_epoch is not None:
            self.step = self._epoch_begin + self.run.steps_per_epoch

    def learn_length(self) -> bool:
        """Takes the steps of the epoch that ends as the length of all.

        Returns whether the length was unknown and is known now.
        """
        steps = self.step - self._epoch_begin
        if self.run.steps_per_epoch is not None or steps == 0:
            return False
        self.run = RunLength(steps, self.run.epochs)
        self.begin_epoch(self.epoch)
        self.step += steps
        return True

    @property
    def is_past_epoch(self) -> bool:
        """Whether the epoch has had all its steps, so no batch may follow."""
        steps = self.run.steps_per_epoch
        return steps is not None and self.step >= self._epoch_begin + steps

    def end_batch(self, batch: int) -> tuple[int, int]:
        """Updates the position at the end of a batch, from 0 in its epoch.

        With `steps_per_execution`, `batch` is the last one of the call.
        Returns the completed steps before and after; a point in time `u` is
        due when `before < u <= after`.
        """
        before = self.step
        in_epoch = batch + 1
        if self.run.steps_per_epoch is not None:
            in_epoch = min(in_epoch, self.run.steps_per_epoch)
        self.step = max(before, self._epoch_begin + in_epoch)
        return before, self.step
