"""What is told of a crossing into tf_keras."""

from dataclasses import dataclass

from keras_netopt.report import Report


@dataclass(frozen=True)
class BridgeReport(Report):
    """What crossed from a Keras model into its twin in tf_keras.

    Args:
        layers: The names of the layers and ops of the twin.
        weights: Number of weights that were copied.
        dropped: Config keys without a counterpart, by layer; none changes
            the outputs of a layer that has its weights.
        rewrites: What was rewritten or left out.
        max_difference: Largest difference between the outputs of the model
            and the twin on random inputs, relative to the largest output, or
            to 1 if that is larger.

    Example:

    >>> print(BridgeReport(("dense",), 2, {"dense": ("seed",)}, (), 0.0))
    1 layers and 2 weights crossed; largest difference 0.0e+00
    dropped: seed (1 layers)
    """

    layers: tuple[str, ...]
    weights: int
    dropped: dict[str, tuple[str, ...]]
    rewrites: tuple[str, ...]
    max_difference: float

    def __str__(self) -> str:
        lines = [
            f"{len(self.layers)} layers and {self.weights} weights crossed; "
            f"largest difference {self.max_difference:.1e}"
        ]
        counts: dict[str, int] = {}
        for keys in self.dropped.values():
            for key in keys:
                counts[key] = counts.get(key, 0) + 1
        if counts:
            texts = [f"{key} ({n} layers)" for key, n in counts.items()]
            lines.append(f"dropped: {', '.join(texts)}")
        return "\n".join([*lines, *self.rewrites])
