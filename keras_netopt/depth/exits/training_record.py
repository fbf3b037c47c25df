"""Hashes of the training samples of a model.

Thresholds calibrated on training samples are too optimistic. `fit` keeps a
hash of up to `MAX_HASHES` evenly spaced samples, and `calibrate` estimates how
many of its own samples are among them.
"""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

MAX_HASHES = 2048
MAX_FITS = 4
HASH_BYTES = 8


@dataclass
class TrainingRecord:
    """Hashes of the samples passed to `fit`.

    `fits` holds the number of samples and their hashes for each `fit` call;
    `unknown` says whether a call was given a data set, which is not hashed.
    """

    fits: list[tuple[int, frozenset[bytes]]] = field(default_factory=list)
    unknown: bool = False

    def add(self, x: Any, validation_split: float = 0.0) -> None:
        """Records the inputs of one `fit` call, without the validation split.

        A data set is recorded as unknown.
        """
        rows = _rows(x)
        if rows is None:
            self.unknown = True
            return
        count = int(len(rows) * (1.0 - (validation_split or 0.0)))
        chosen = np.unique(np.linspace(0, count - 1, MAX_HASHES).astype(int))
        if not count:
            return
        entry = (count, frozenset(_hash(rows[k]) for k in chosen))
        if entry not in self.fits:
            self.fits = [*self.fits, entry][-MAX_FITS:]

    def fraction_seen(self, x: Any) -> float:
        """Estimates the share of samples that were passed to `fit`.

        Returns 0 if nothing is known.
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
        """Returns the record as JSON-safe values."""
        return [
            {
                "samples": count,
                "hashes": base64.b64encode(b"".join(sorted(kept))).decode(),
            }
            for count, kept in self.fits
        ]

    @classmethod
    def from_config(cls, config: list[dict[str, Any]]) -> "TrainingRecord":
        """Builds the record from `get_config`'s result."""
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
