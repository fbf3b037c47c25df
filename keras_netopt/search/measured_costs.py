"""Costs that were measured on this machine, by key, kept in a file."""

import os
import platform
import warnings

from keras_netopt.files import name_unreadable
from keras_netopt.search.storage import read_json, write_json
from keras_netopt.warnings import NoEffectWarning

REMEDY = "They are measured again."


class MeasuredCosts:
    """Costs by key, in memory and, if there is a path, in a file.

    The file belongs to one machine: the costs of another one are ignored.
    Several objects and searches may share a file.
    """

    def __init__(self, path: str | None = None) -> None:
        self.path = path
        self._known: dict[str, float] = {}

    def find(self, key: str) -> float | None:
        """Returns a known cost, `None` if there is none."""
        if key not in self._known:
            self._known |= self._read()
        return self._known.get(key)

    def add(self, key: str, cost: float) -> None:
        """Stores a cost."""
        self._known[key] = cost
        # The folder of a search may be deleted before its limits are.
        if self.path and os.path.isdir(os.path.dirname(self.path) or "."):
            # Another process may have written, or replaced, in between.
            self._known = {**self._read(), **self._known}
            costs = self._known
            content = {"machine": describe_machine(), "costs": costs}
            write_json(self.path, content)

    def _read(self) -> dict[str, float]:
        if self.path is None or not os.path.exists(self.path):
            return {}
        try:
            with name_unreadable(self.path, "measured costs", REMEDY):
                content = read_json(self.path)
                is_ours = content["machine"] == describe_machine()
                costs = {k: float(v) for k, v in content["costs"].items()}
        except FileNotFoundError:  # Another process has deleted the project.
            return {}
        except ValueError as error:
            warnings.warn(str(error), NoEffectWarning, stacklevel=4)
            return {}
        return costs if is_ours else {}


def describe_machine() -> str:
    """Returns name and processor of this machine."""
    return f"{platform.node()} {platform.machine()} {os.cpu_count()}"
