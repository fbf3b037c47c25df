"""The list of finished trials, on disk."""

from pathlib import Path
from typing import Any

from keras_netopt.files import name_unreadable
from keras_netopt.search.morphism.morphism_trial import MorphismTrial
from keras_netopt.search.storage import read_json, write_json

FILE = "journal.json"
AFTER_IT = "trial-0001.keras"  # No second network is trained without it.


class Journal:
    """The finished trials of a search, in order.

    The file is replaced after each trial, once the weights of that trial are
    on disk: what the journal does not name is trained again.

    Args:
        folder: The folder of the project.
        settings: What must be the same when a search is resumed, by name.

    Raises:
        FileNotFoundError: If the folder holds networks, but no journal.
        ValueError: If the folder holds a search with other settings, or the
            journal cannot be read.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.path = folder / FILE
        self.settings = settings
        self.trials: list[MorphismTrial] = []
        self.end = ""
        remedy = (
            "The trained networks are still in the folder. Copy the file from "
            "elsewhere, pass another `project_name`, or `overwrite=True` to "
            "start over."
        )
        if not self.path.exists() and not (folder / AFTER_IT).exists():
            return
        with name_unreadable(self.path, "the journal of a search", remedy):
            found = read_json(str(self.path))
            trials = [MorphismTrial.from_dict(row) for row in found["trials"]]
            dict(found["settings"])
        for name, value in settings.items():
            if found["settings"].get(name) != value:
                raise ValueError(
                    f"Argument `project_name` must name a search with the "
                    f"same {_quote(name)}, "
                    f"{found['settings'].get(name)!r}. "
                    f"Received: {name}={value!r}. Pass another "
                    "`project_name`, or `overwrite=True` to start over; "
                    f"nothing in {folder} was changed."
                )
        self.trials = trials
        self.end = found.get("end", "")

    def add(self, trial: MorphismTrial) -> None:
        """Adds a trial whose file has been written."""
        self.trials.append(trial)
        self._write()

    def finish(self, end: str) -> None:
        """Stores why the search ended before its last trial, "" if not."""
        if end != self.end:
            self.end = end
            self._write()

    def _write(self) -> None:
        rows = [one.to_dict() for one in self.trials]
        content = {"settings": self.settings, "trials": rows, "end": self.end}
        write_json(str(self.path), content)

    def best(self, sign: int) -> list[MorphismTrial]:
        """Returns the networks of the search, the best first.

        Args:
            sign: 1 if a higher score is better, else -1.
        """
        found = [one for one in self.trials if one.is_searched]
        done = [one for one in found if one.score is not None]
        return sorted(done, key=lambda one: -sign * (one.score or 0.0))


def _quote(name: str) -> str:
    return name if "`" in name else f"`{name}`"
