"""The share of a model's cost that channel pruning must remove."""

import warnings
from typing import Any

import keras

from keras_netopt.compression.target_meter import TargetMeter
from keras_netopt.export.kept_process import keep_process
from keras_netopt.serialization import export_class
from keras_netopt.surgery.cutting.prune_channels import prune_channels
from keras_netopt.surgery.edits.rehearsal import temporary_copy
from keras_netopt.training import NoEffectWarning


@export_class
class TargetShare:
    """Finds what `ChannelPruning` must remove, once the model is known.

    Args:
        meter: What measures the model against the target.
        min_channels: Channels that every layer keeps.
    """

    def __init__(self, meter: TargetMeter, min_channels: int) -> None:
        self.meter = meter
        self.min_channels = min_channels

    def __call__(self, model: keras.Model) -> float:
        """Returns a share in [0, 1) of what the meter measures.

        Raises:
            ValueError: If not even the smallest cut model meets the target.
        """
        with keep_process():
            value = self.meter(model)
            if value <= 1:
                return 0.0
            with temporary_copy(model) as copy:
                with warnings.catch_warnings():
                    # A model without channels to cut may miss the target.
                    warnings.simplefilter("ignore", NoEffectWarning)
                    prune_channels(copy, 0.999, min_channels=self.min_channels)
                least = self.meter.ratios(copy)
        missed = {name: ratio for name, ratio in least.items() if ratio > 1}
        if missed:
            told = ", ".join(
                f"{name} is {ratio:.3g} times its limit"
                for name, ratio in missed.items()
            )
            raise ValueError(
                "Argument `target` cannot be met by this model: with "
                f"{self.min_channels} channels per layer its {told}. Give a "
                "larger limit, a smaller `min_channels` or a smaller model. "
                f"Received: target={self.meter.target!r}"
            )
        return 1.0 - 1.0 / value

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {
            "meter": keras.saving.serialize_keras_object(self.meter),
            "min_channels": self.min_channels,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TargetShare":
        """Creates it again."""
        meter = keras.saving.deserialize_keras_object(config["meter"])
        return cls(meter, config["min_channels"])

    def __repr__(self) -> str:
        return f"TargetShare({self.meter!r}, {self.min_channels})"
