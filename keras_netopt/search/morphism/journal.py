"""The list of finished trials, on disk."""

from pathlib import Path
from typing import Any

from keras_netopt.search.morphism.morphism_trial import MorphismTrial
from keras_netopt.search.storage import read_json, write_json

FILE = "journal.json"


class Journal:
    """The finished trials of a search, in order.

    The file is replaced after each trial, once the weights of that trial are
    on disk: what the journal does not name is trained again.

    Args:
        folder: The folder of the project.
        settings: What must be the same when a search is resumed, by name.

    Raises:
        ValueError: If the folder holds a search with other settings.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.path = folder / FILE
        self.settings = settings
        self.trials: list[MorphismTrial] = []
        if not self.path.exists():
            return
        found = read_json(str(self.path))
        for name, value in settings.items():
            if found["settings"].get(name) != value:
                raise ValueError(
                    f"Argument `project_name` must name a search with the "
                    f"same `{name}`, {found['settings'].get(name)!r}. "
                    f"Received: {name}={value!r}. Pass another "
                    "`project_name`, or `overwrite=True` to start over; "
                    f"nothing in {folder} was changed."
                )
        self.trials = [MorphismTrial.from_dict(row) for row in found["trials"]]

    def add(self, trial: MorphismTrial) -> None:
        """Adds a trial whose file has been written."""
        self.trials.append(trial)
        rows = [one.to_dict() for one in self.trials]
        write_json(str(self.path), {"settings": self.settings, "trials": rows})

    def lineage(self, trial: MorphismTrial) -> list[MorphismTrial]:
        """Returns the ancestors of a trial, oldest first, and itself."""
        found = [trial]
        while found[0].parent is not None:
            found.insert(0, self.trials[found[0].parent])
        return found

    def best(self, sign: int) -> list[MorphismTrial]:
        """Returns the networks of the search, the best first.

        Args:
            sign: 1 if a higher score is better, else -1.
        """
        found = [one for one in self.trials if one.is_searched]
        done = [one for one in found if one.score is not None]
        return sorted(done, key=lambda one: -sign * (one.score or 0.0))
