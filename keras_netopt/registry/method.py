"""What is told of one public piece. This module imports no Keras."""

from collections.abc import Mapping
from dataclasses import dataclass, field

ALL_DOMAINS = ("image", "text", "audio", "tabular", "rl")


@dataclass(frozen=True, kw_only=True)
class Method:
    """Describes one public piece.

    Example:

    >>> row = Method(
    ...     name="callbacks.Shrink", kind="callback", summary="Shrinks a model."
    ... )
    >>> row.short_name, row.retraces
    ('Shrink', 'never')

    Args:
        name: Public path below `keras_netopt`, as in "callbacks.Pruning".
        kind: "callback", "layer", "loss", "schedule", "function", "oracle",
            "tuner", "stopper" or "executor".
        summary: What it is for, one line.
        function: Public path of the twin that works without `fit`. Defaults
            to `None`.
        card: Name of the page in docs/methods, without ".md". Defaults to
            `None`.
        domains: Where it applies, of "image", "text", "audio", "tabular" and
            "rl". Defaults to all of them.
        reference: Paper, year and id. Defaults to `""`.
        touches: What it changes, of "weights", "shapes", "graph", "data",
            "loss", "train_step", "optimizer" and
            "scheduled_variables". Defaults to `()`.
        retraces: How often it forces a new compiled step: "never",
            "on_event" or "epoch". Defaults to `"never"`.
        limits: Contract checks that it is exempt from, each with the reason.
            Defaults to none.
        data_args: Arguments that hold data and cannot go into a config.
            Defaults to `()`.
        experimental: Whether the method is unproven. Defaults to `False`.
    """

    name: str
    kind: str
    summary: str
    function: str | None = None
    card: str | None = None
    domains: tuple[str, ...] = ALL_DOMAINS
    reference: str = ""
    touches: frozenset[str] = frozenset()
    retraces: str = "never"
    limits: Mapping[str, str] = field(default_factory=dict, hash=False)
    data_args: tuple[str, ...] = ()
    experimental: bool = False

    @property
    def short_name(self) -> str:
        """The last part of the name: the class or function itself."""
        return self.name.rpartition(".")[2]
