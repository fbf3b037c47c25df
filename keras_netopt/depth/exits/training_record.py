"""What a model was trained on, as far as a later check needs it.

Thresholds that are chosen on the samples a model has learnt by heart are too
bold. So `fit` keeps a hash of up to `KEPT` samples, evenly spread, and
`calibrate` looks how many of its own samples are among them.
"""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

KEPT = 2048
FITS = 4
HASH_BYTES = 8


@dataclass
class TrainingRecord:
    """Hashes of samples that `fit` was given.

    Example:

    >>> import numpy as np
    >>> record = TrainingRecord()
    >>> x = np.arange(12.0).reshape(6, 2)
    >>> record.add(x)
    >>> record.share_of(x[:3]), record.share_of(x + 0.5)
    (1.0, 0.0)

    Args:
        fits: The number of samples and the hashes that were kept, a fit.
        unknown: Whether a fit was given data that cannot be looked at.
    """

    fits: list[tuple[int, frozenset[bytes]]] = field(default_factory=list)
    unknown: bool = False

    def add(self, x: Any, validation_split: float = 0.0) -> None:
        """Notes the inputs of one fit, without the part held out.

        Args:
            x: What `fit` was given; data sets are noted as unknown.
            validation_split: As `fit` was given it. Defaults to `0.0`.
        """
        rows = _rows(x)
        if rows is None:
            self.unknown = True
            return
        count = int(len(rows) * (1.0 - (validation_split or 0.0)))
        chosen = np.unique(np.linspace(0, count - 1, KEPT).astype(int))
        if not count:
            return
        entry = (count, frozenset(_hash(rows[k]) for k in chosen))
        if entry not in self.fits:
            self.fits = [*self.fits, entry][-FITS:]

    def share_of(self, x: Any) -> float:
        """Estimates how many of some samples a fit has seen.

        Args:
            x: Inputs, as `add` takes them.

        Returns:
            A share in [0, 1]; 0 where nothing is known.
        """
        rows = _rows(x)
        if rows is None or not self.fits or not len(rows):
            return 0.0
        hashes = [_hash(row) for row in rows]
        shares = []
        for count, kept in self.fits:
            found = sum(one in kept for one in hashes)
            shares.append(found / len(hashes) * count / len(kept))
        return min(1.0, max(shares))

    def get_config(self) -> list[dict[str, Any]]:
        """Returns the record in types that JSON knows."""
        return [
            {
                "samples": count,
                "hashes": base64.b64encode(b"".join(sorted(kept))).decode(),
            }
            for count, kept in self.fits
        ]

    @classmethod
    def from_config(cls, config: list[dict[str, Any]]) -> "TrainingRecord":
        """Builds the record again."""
        fits = []
        for entry in config:
            raw = base64.b64decode(entry["hashes"])
            kept = frozenset(
                raw[k : k + HASH_BYTES] for k in range(0, len(raw), HASH_BYTES)
            )
            fits.append((int(entry["samples"]), kept))
        return cls(fits)


def _rows(x: Any) -> Any:
    """The first input as an array, or `None` for a data set."""
    leaves = keras.tree.flatten(x)
    first = leaves[0] if leaves else None
    if isinstance(first, np.ndarray):
        return first
    if keras.ops.is_tensor(first):
        return keras.ops.convert_to_numpy(first)
    return None


def _hash(row: Any) -> bytes:
    plain = np.ascontiguousarray(np.asarray(row, "float32"))
    return hashlib.blake2b(plain.tobytes(), digest_size=HASH_BYTES).digest()
