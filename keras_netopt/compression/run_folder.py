"""What a run keeps in its folder, so that a killed run goes on."""

import glob
import json
import os
from typing import Any

from keras_netopt.compression.candidate import Candidate
from keras_netopt.compression.planner import Cut
from keras_netopt.compression.probe import Probe
from keras_netopt.files import name_unreadable, write_aside

STATE = "run.json"
FLOAT = "float32.tflite"
REMEDY = "Pass another `folder`, or delete this one to begin again."


class RunFolder:
    """Files and results of a run.

    `state` holds what has been finished: "reference", "plan", "stages" and
    "seconds".

    Args:
        path: The folder; made if it does not exist.
        fingerprint: What the results depend on, by name.
    """

    def __init__(self, path: str, fingerprint: dict[str, Any]) -> None:
        self.path = path
        os.makedirs(path, exist_ok=True)
        self.state: dict[str, Any] = {"stages": [], "history": []}
        if os.path.exists(self.file(STATE)) or self._has_stages():
            state = self.file(STATE)
            with (
                name_unreadable(state, "the state of a compression", REMEDY),
                open(state, encoding="utf-8") as file,
            ):
                self.state = {**self.state, **json.load(file)}
            _check(self.state.get("fingerprint"), fingerprint, path)
        self.state["fingerprint"] = fingerprint

    def _has_stages(self) -> bool:
        return bool(glob.glob("stage-*", root_dir=self.path))

    def file(self, name: str) -> str:
        """Returns the path of a file in the folder."""
        return os.path.join(self.path, name)

    def weights(self, stage: int, part: str = "end") -> str:
        """Returns the path of the weights of a stage."""
        return self.file(f"stage-{stage}-{part}.weights.h5")

    def save(self) -> None:
        """Writes the state; a reader never sees half of it."""
        with (
            write_aside(self.file(STATE)) as partial,
            open(partial, "w", encoding="utf-8") as file,
        ):
            json.dump(self.state, file, indent=1)

    def load_candidate(self, values: dict[str, Any]) -> Candidate:
        """Returns a candidate of the state."""
        return Candidate(**{**values, "notes": tuple(values["notes"])})

    @staticmethod
    def load_cut(values: dict[str, Any]) -> Cut:
        """Returns a cut of the state."""
        probe = Probe(**values["probe"])
        return Cut(values["widths"], probe, values["fits"])


def _check(found: Any, expected: dict[str, Any], path: str) -> None:
    differs = [
        name
        for name, value in expected.items()
        if (found or {}).get(name) != value
    ]
    if differs:
        raise ValueError(
            "Argument `folder` must be new, or hold a run of the same model, "
            f"data and arguments; these differ: {', '.join(differs)}. "
            f"Received: folder={path!r}. Use another folder, or delete it."
        )
