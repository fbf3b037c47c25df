"""JSON of a state whose long lists and dictionaries mostly grow."""

import itertools
import json
from collections.abc import Mapping
from typing import Any

# Of these, equal values of one type have equal text, and none can change.
_PLAIN = frozenset((str, int))


class GrowingJson:
    """Encodes a dictionary again and again; what did not change is kept.

    A list or a dictionary that only got new items at its end since the last
    call costs one comparison and the encoding of these items.

    Example:

    >>> from keras_netopt.search.growing_json import GrowingJson
    >>> encoder = GrowingJson()
    >>> encoder.encode({"order": ["0", "1"], "seed": 3})
    '{"order": ["0", "1"], "seed": 3}'
    >>> encoder.encode({"order": ["0", "1", "2"], "seed": 4})
    '{"order": ["0", "1", "2"], "seed": 4}'
    """

    def __init__(self) -> None:
        # Items and their text, by key.
        self._known: dict[str, tuple[list[Any], str]] = {}

    def encode(self, state: Mapping[str, Any]) -> str:
        """Returns what `json.dumps` does; keys must be strings."""
        parts = (
            f"{json.dumps(key)}: {self._encode(key, value)}"
            for key, value in state.items()
        )
        return f"{{{', '.join(parts)}}}"

    def _encode(self, key: str, value: Any) -> str:
        if isinstance(value, list) and _PLAIN.issuperset(map(type, value)):
            return f"[{self._extend(key, value, _join_list)}]"
        if isinstance(value, dict) and _PLAIN.issuperset(
            map(type, itertools.chain(value, value.values()))
        ):
            return f"{{{self._extend(key, list(value.items()), _join_dict)}}}"
        return json.dumps(value)

    def _extend(self, key: str, items: list[Any], join: Any) -> str:
        before, text = self._known.get(key, ([], ""))
        count = len(before)
        if items[:count] != before:
            count, text = 0, ""
        added = join(items[count:])
        text = f"{text}, {added}" if text and added else text or added
        self._known[key] = (list(items), text)
        return text


def _join_list(items: list[Any]) -> str:
    return json.dumps(items)[1:-1]


def _join_dict(items: list[Any]) -> str:
    return json.dumps(dict(items))[1:-1]
