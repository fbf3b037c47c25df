"""Saves and restores a search, and holds its project folder.

Private names of KerasTuner 1.4.8: `_populate_initial_space` is overridden,
`_get_tuner_fname` is used.
"""

import contextlib
from pathlib import Path
from typing import Any

from keras_netopt.checks import check_truth
from keras_netopt.search.project_lock import refuse_running
from keras_netopt.search.running.project import (
    check_same_search,
    find_search,
    project_identity,
    read_tuner_state,
)
from keras_netopt.search.running.project_guard import ProjectGuard
from keras_netopt.search.running.trial_trainer import TrialTrainer
from keras_netopt.search.storage import write_json


class SavedTuner(TrialTrainer):
    """The part of `search.Tuner` that deals with the project folder."""

    search_epochs: int | None = None  # The argument `epochs` of `search`.

    def get_state(self) -> dict[str, Any]:
        """Returns the state of the tuner, with the identity of the search."""
        return {
            **super().get_state(),
            "netopt": project_identity(self),
            "search_epochs": self.search_epochs,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores a state; refuses that of another search."""
        super().set_state(state)
        check_same_search(self, state.get("netopt"))
        self.search_epochs = state.get("search_epochs")

    def save(self) -> None:
        """Saves oracle and tuner, each in one atomic write."""
        if not self._is_worker():
            self.oracle.save()
        write_json(self._get_tuner_fname(), self.get_state())

    def reload(self) -> None:
        """Restores the search of the project folder."""
        if not self._is_worker():
            self.oracle.reload()
        state = read_tuner_state(self)
        if state is None:
            check_same_search(self, None)
        else:
            self.set_state(state)

    def _populate_initial_space(self) -> None:
        # Called where the folder holds no file of this tuner.
        if self._is_worker() or not find_search(self):
            super()._populate_initial_space()
            return
        self.oracle.reload()
        check_same_search(self, None)

    def _hold_project(self) -> Any:
        """Keeps other searches out of the folder; its workers are welcome."""
        if self._is_worker():
            return contextlib.nullcontext()
        return ProjectGuard(self)

    def _may_overwrite(
        self, overwrite: bool, directory: Any, project_name: str | None
    ) -> bool:
        """Refuses to delete the folder of a search that is running."""
        if not check_truth(overwrite, "overwrite") or self._is_worker():
            return False  # The folder of a worker is its chief's.
        refuse_running(
            Path(directory or ".", project_name or "untitled_project")
        )
        return True
