"""Metadata of one public component. This module imports no Keras."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Method:
    """Describes one public component.

    Example:

    >>> row = Method(
    ...     name="callbacks.Shrink", kind="callback", summary="Shrinks a model."
    ... )
    >>> row.short_name, row.retraces
    ('Shrink', 'never')

    Args:
        name: Public path below `keras_netopt`, as in "callbacks.Pruning".
        summary: Its purpose, one line.
        kind: "callback", "layer", "loss", "schedule", "function", "oracle",
            "tuner", "stopper", "executor", "limit", "table" or "agent".
            Defaults to `"function"`.
        function: Public path of the function that does the same without
            `fit`, with the same arguments. Defaults to `None`.
        differs: Arguments, other than `model`, that the class and `function`
            do not share or that differ in their default, each with the
            reason. Defaults to none.
        card: Name of the page in docs/methods, without ".md". Defaults to
            `None`.
        reference: Paper, year and id. Defaults to `""`.
        touches: Parts of the training that a callback changes, of "weights",
            "shapes", "graph", "data", "loss", "train_step", "optimizer" and
            "scheduled_variables". Defaults to `()`.
        retraces: How often a callback compiles the training step again:
            "never", "on_event" or "epoch". Defaults to `"never"`.
        limits: Contract checks that it cannot pass, each with the reason.
            Defaults to none.
    """

    name: str
    summary: str
    kind: str = "function"
    function: str | None = None
    differs: Mapping[str, str] = field(default_factory=dict, hash=False)
    card: str | None = None
    reference: str = ""
    touches: frozenset[str] = frozenset()
    retraces: str = "never"
    limits: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def short_name(self) -> str:
        """The last part of the name: the class or function itself."""
        return self.name.rpartition(".")[2]
