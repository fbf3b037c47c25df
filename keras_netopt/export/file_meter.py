"""The bytes of the LiteRT file that a model would become."""

import os
import tempfile
from typing import Any

import keras

from keras_netopt.checks import check_bool, check_integer
from keras_netopt.export.quantization_mode import check_mode
from keras_netopt.export.unverified_file import write_unverified
from keras_netopt.serialization import export_class


@export_class
class FileMeter:
    """Measures the bytes of a model's LiteRT file, as `meter(model)`.

    The file is written to a temporary folder as `to_litert` writes it, but
    neither verified nor kept. Calibration uses random numbers, which change
    scales but no sizes; kernels off the grid of `"int4"` or `"int2"` count as
    float. Use it as `meter` of `ChannelPruning` and
    `prune_channels` with `resource="bytes"`, for files in another form than
    float32.

    Example:

    >>> from keras_netopt import export
    >>> export.FileMeter("int8", compact=True)
    FileMeter(quantize='int8', sparse=False, compact=True)

    Args:
        quantize: The number format, as in `to_litert`. Defaults to `None`,
            float32.
        sparse: Whether zeros are stored sparsely. Defaults to `False`.
        compact: Whether the file is compact. Defaults to `False`.

    Raises:
        ValueError: If `quantize` is unknown.
        TypeError: If an argument has the wrong type.
    """

    def __init__(
        self,
        quantize: str | None = None,
        *,
        sparse: bool = False,
        compact: bool = False,
    ) -> None:
        check_mode(quantize)
        check_bool(sparse, "sparse")
        check_bool(compact, "compact")
        if sparse and quantize is not None:
            raise ValueError(
                "Argument `sparse` must be False where the file is quantized. "
                f"Received: sparse=True, quantize={quantize!r}"
            )
        self.quantize = quantize
        self.sparse = sparse
        self.compact = compact

    def __call__(self, model: keras.Model) -> int:
        """Returns the bytes of the file.

        Raises:
            ExportError: If the model cannot be converted.
        """
        return len(self.write(model))

    def write(self, model: keras.Model) -> bytes:
        """Returns the content of the file.

        Raises:
            ExportError: If the model cannot be converted.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.tflite")
            write_unverified(
                model,
                path,
                self.quantize,
                sparse=self.sparse,
                compact=self.compact,
            )
            with open(path, "rb") as file:
                return file.read()

    def sparsity_for(self, model: keras.Model, max_bytes: int) -> float:
        """Returns the share of the bytes to remove for a size.

        The model should be trained: the converter leaves out biases that are
        all zero, so that the file of a new model is smaller.

        Example:

        >>> import keras
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
        >>> meter = FileMeter()
        >>> meter.sparsity_for(model, 1_000_000)
        0.0

        Args:
            model: A built model.
            max_bytes: Bytes that the file may have.

        Returns:
            A share in [0, 1), 0 if the file is small enough: the argument
            `sparsity` with `resource="bytes"`.

        Raises:
            ExportError: If the model cannot be converted.
            ValueError: If `max_bytes` is below 1.
        """
        check_integer(max_bytes, "max_bytes", minimum=1)
        return max(0.0, 1.0 - max_bytes / self(model))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        names = ("quantize", "sparse", "compact")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FileMeter":
        """Creates the meter again."""
        return cls(**config)

    def __repr__(self) -> str:
        config = self.get_config().items()
        return f"FileMeter({', '.join(f'{k}={v!r}' for k, v in config)})"
