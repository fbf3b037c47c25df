"""A layer or op that has no twin in tf_keras."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Obstacle:
    """What keeps one layer of a model from crossing into tf_keras.

    Args:
        layer: Path of the layer or op: the names of the models around it and
            its own, joined with "/".
        reason: Why it has no twin.
        remedy: What to change.
    """

    layer: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.layer}: {self.reason}. {self.remedy}"


class NoTwinError(ValueError):
    """Raised by the maker of one twin; becomes an `Obstacle`."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
