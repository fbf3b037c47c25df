"""One trained network of a morphism search, as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_netopt.report import as_plain
from keras_netopt.search.morphism.mutation import Mutation


@dataclass(frozen=True)
class MorphismTrial:
    """One trained network: where it comes from, and its figures.

    Example:

    >>> trial = MorphismTrial(3, "child", 1, (Mutation("deepen", "conv"),))
    >>> trial.title
    'deepen conv'

    Args:
        number: Its number; 0 is the parent of the search.
        role: "parent", "child", or a control: "random" (mutations without
            selection) or "continued" (the parent, trained on).
        parent: Number of the network whose weights it inherits, or `None`.
        mutations: What was changed. Defaults to none.
        status: "COMPLETED", or "FAILED" if the objective is not finite.
            Defaults to `"COMPLETED"`.
        score: The objective after the last epoch. Defaults to `None`.
        params: Number of parameters. Defaults to `0`.
        macs: Multiply-accumulates (MACs) per sample. Defaults to `0`.
        spent: MACs of its training, without those of its ancestors. Defaults
            to `0`.
        epochs: Epochs trained. Defaults to `0`.
        logs: The logs of each epoch. Defaults to none.
        costs: Values of the constraints. Defaults to none.
        control: Number of the control it belongs to, or `None`.
        file: Its file in the folder of the project. Defaults to `""`.
        seconds: Wall time, compilation included. Defaults to `0.0`.
    """

    number: int
    role: str
    parent: int | None = None
    mutations: tuple[Mutation, ...] = ()
    status: str = "COMPLETED"
    score: float | None = None
    params: int = 0
    macs: int = 0
    spent: int = 0
    epochs: int = 0
    logs: tuple[Mapping[str, float], ...] = ()
    costs: Mapping[str, float] = field(default_factory=dict)
    control: int | None = None
    file: str = ""
    seconds: float = 0.0

    @property
    def title(self) -> str:
        """The mutations in words."""
        unchanged = "as given" if self.role == "parent" else "no change"
        return ", ".join(map(str, self.mutations)) or unchanged

    @property
    def is_searched(self) -> bool:
        """Whether it belongs to the search, not to a control."""
        return self.role in ("parent", "child")

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON-safe values."""
        return dict(as_plain(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "MorphismTrial":
        """Creates a trial from the output of `to_dict`."""
        mutations = tuple(map(Mutation.from_dict, values["mutations"]))
        logs = tuple(values["logs"])
        return cls(**{**values, "mutations": mutations, "logs": logs})


def lineage(
    trial: MorphismTrial, trials: Sequence[MorphismTrial]
) -> list[MorphismTrial]:
    """Returns the ancestors of a trial, oldest first, and itself."""
    found = [trial]
    while found[0].parent is not None:
        found.insert(0, trials[found[0].parent])
    return found
