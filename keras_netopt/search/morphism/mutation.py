"""One change of a network's structure, as plain data."""

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import keras

from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.cutting.prune_channels import prune_channels
from keras_netopt.surgery.cutting.remove_block import remove_block
from keras_netopt.surgery.growing.deepen import deepen
from keras_netopt.surgery.growing.widen import widen

OPERATIONS = ("widen", "deepen", "narrow", "remove_block")


@dataclass(frozen=True)
class Mutation:
    """An edit that makes a child out of its parent.

    Example:

    >>> print(Mutation("widen", "conv1", factor=1.5))
    widen conv1 x 1.5

    Args:
        operation: "widen", "deepen", "narrow" or "remove_block".
        layer: Path of the layer; of the sum, for "remove_block".
        kind: Kind of units, as in `surgery.widen`. Defaults to `""`.
        factor: Ratio of the wider to the narrower width, above 1. Defaults to
            `None`.
    """

    operation: str
    layer: str
    kind: str = ""
    factor: float | None = None

    def __str__(self) -> str:
        kind = f" ({self.kind})" if self.kind else ""
        sign = "/" if self.operation == "narrow" else "x"
        by = f" {sign} {self.factor:g}" if self.factor else ""
        return f"{self.operation} {self.layer}{kind}{by}"

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields by name."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Mutation":
        """Creates a mutation from the output of `to_dict`."""
        return cls(**values)

    def apply(
        self,
        model: keras.Model,
        *,
        seed: int = 0,
        data: Any = None,
        min_channels: int = 1,
        block: Any = None,
        dry_run: bool = False,
    ) -> keras.Model:
        """Makes the edit.

        Args:
            model: The model, which is edited in place where possible.
            seed: Seed of new weights. Defaults to `0`.
            data: Inputs, for the statistics of new channels in batch
                normalization. Defaults to `None`.
            min_channels: Units that "narrow" keeps. Defaults to `1`.
            block: The block that "deepen" inserts; see `surgery.deepen`.
                Defaults to `None`.
            dry_run: Whether to leave the model unchanged. Defaults to
                `False`.

        Returns:
            The edited model; another object only for "remove_block".

        Raises:
            ValueError: If the edit cannot be made.
        """
        if self.operation == "remove_block":
            return remove_block(model, self.layer)
        if self.operation == "widen":
            widen(
                model,
                self.layer,
                factor=self.factor,
                kind=self.kind,
                calibration_data=data,
                seed=seed,
                dry_run=dry_run,
            )
        elif self.operation == "deepen":
            deepen(model, self.layer, block=block, seed=seed, dry_run=dry_run)
        else:
            _narrow(model, self, min_channels, dry_run)
        return model


def _narrow(
    model: keras.Model, mutation: Mutation, min_channels: int, dry_run: bool
) -> None:
    """Removes the least important units of one layer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The report says it.
        report = prune_channels(
            model,
            1 - 1 / (mutation.factor or 1.0),
            include=ChannelGraph(model).find(mutation.layer),
            min_channels=min_channels,
            dry_run=dry_run,
        )
    if not report.widths:
        reasons = [
            why for path, why in report.skipped if path == mutation.layer
        ]
        raise ValueError(
            f"Layer '{mutation.layer}' cannot be made narrower: "
            f"{reasons[0] if reasons else 'it has too few units'}. "
            f"Received: min_channels={min_channels}"
        )
