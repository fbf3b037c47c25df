"""When the rounds of a search for a lottery ticket begin."""

from dataclasses import dataclass

from keras_netopt.points import LATER, Point, RunLength, resolve_point

UNEVEN = (
    "LearningRateScheduler gives the rounds different learning rates, because "
    "it counts the epochs of `fit`. Use the rate of `epoch % {part}`, or a "
    "schedule of the optimizer, which restarts with each round."
)
UNFINISHED = (
    "a new search begins with the masks and the trained weights of round "
    "{number} of a search that was not finished. Call `sparsity.remove_masks` "
    "and set new initial values first, or continue that search with "
    "`initial_epoch`."
)


@dataclass(frozen=True)
class TicketPlan:
    """Splits a `fit` call into rounds of equal length.

    Example:

    >>> plan = TicketPlan(rounds=2, rewind_to="1ep")
    >>> run = RunLength(steps_per_epoch=10, epochs=6)
    >>> plan.part(run), plan.point(run), plan.round_at(4, run)
    (2, 10, 2)

    Args:
        rounds: How many times weights are pruned, at least 1.
        rewind_to: The rewind point, in the first part.
    """

    rounds: int
    rewind_to: Point

    def part(self, run: RunLength) -> int:
        """Returns the epochs of a round."""
        return run.epochs // (self.rounds + 1)

    def point(self, run: RunLength) -> int:
        """Returns the rewind point in steps."""
        return resolve_point(self.rewind_to, run, "rewind_to")

    def round_at(self, epoch: int, run: RunLength) -> int:
        """Returns the number of the round of an epoch."""
        return min(epoch // self.part(run), self.rounds)

    def is_end(self, epoch: int, run: RunLength) -> bool:
        """Returns whether an epoch is the last one of a round."""
        return (epoch + 1) % self.part(run) == 0

    def check(self, run: RunLength) -> None:
        """Raises a ValueError if a `fit` call cannot be split like this."""
        parts = self.rounds + 1
        if run.epochs % parts or run.epochs == 0:
            wanted = max(1, round(run.epochs / parts)) * parts
            raise ValueError(
                "Argument `rounds` splits `fit` into equal parts, so the "
                f"epochs must be a multiple of rounds + 1 = {parts}: use "
                f"`fit(epochs={wanted})`, or other rounds. "
                f"Received: rounds={self.rounds}, epochs={run.epochs}"
            )
        point, steps = self.point(run), run.steps_per_epoch
        if point == LATER:  # "3ep", while the length of an epoch is unknown.
            point, steps = self.point(RunLength(1, run.epochs)), 1
        epochs = self.part(run)
        if steps is not None and 0 < epochs * steps <= point:
            raise ValueError(
                "Argument `rewind_to` must be a point in the first part of "
                f"`fit`, which has {epochs} epochs, before its end. "
                f"Received: rewind_to={self.rewind_to!r}"
            )

    def check_resumed(self, part: int, run: RunLength) -> None:
        """Raises a ValueError if the interrupted `fit` had another length."""
        if part != self.part(run):
            raise ValueError(
                "A resumed `fit` must have as many epochs as the one that was "
                f"interrupted, {part * (self.rounds + 1)}. "
                f"Received: epochs={run.epochs}"
            )
