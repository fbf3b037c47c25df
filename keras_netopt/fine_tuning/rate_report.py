"""Report of layer-wise learning rates."""

from dataclasses import dataclass

from keras_netopt.report import Report
from keras_netopt.tables import render


@dataclass(frozen=True)
class RateRow:
    """Layers with one factor.

    Args:
        layers: The paths of the layers.
        parameters: Their number of trainable parameters.
        factor: What their updates are multiplied with.
    """

    layers: tuple[str, ...]
    parameters: int
    factor: float


@dataclass(frozen=True)
class LayerRateReport(Report):
    """Reports the factor of the learning rate of each layer.

    Example:

    >>> print(LayerRateReport((RateRow(("out",), 51, 0.5),)))
    ┏━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━━┓
    ┃ layers ┃ parameters ┃ factor ┃
    ┡━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━━┩
    │ out    │         51 │    0.5 │
    └────────┴────────────┴────────┘

    Args:
        rows: One row per factor, in the order of the model.
    """

    rows: tuple[RateRow, ...]

    def __str__(self) -> str:
        return render(
            ["layers", "parameters", "factor"],
            [
                [shorten(row.layers), row.parameters, row.factor]
                for row in self.rows
            ],
            align="lrr",
        )


def shorten(layers: tuple[str, ...]) -> str:
    """Names up to three layers, or the first and the last of more."""
    if len(layers) <= 3:
        return ", ".join(layers)
    return f"{layers[0]} ... {layers[-1]} ({len(layers)} layers)"
