"""Guards against a search that prefers operations without weights.

Early in training skip connections, pooling and cut edges lower the loss more
than convolutions that have learned nothing yet, so that they take over.
"""

from collections.abc import Mapping

import numpy as np

DOMINANT = 0.5  # Largest share of one option without weights.
LEADING = 1.25  # Least share of an option that leads, in equal shares.


def find_collapse(
    shares: Mapping[str, np.ndarray],
    weightless: Mapping[str, tuple[bool, ...]],
    options: Mapping[str, tuple[object, ...]],
) -> str | None:
    """Describes the decisions that operations without weights have taken over.

    A decision is taken over where one such option has more than half of the
    weight; all together are where such options lead in more than half of
    them, each with at least 1.25 times an equal share. Decisions whose options
    all have weights, or none, do not count.

    Example:

    >>> import numpy as np
    >>> find_collapse(
    ...     {"edge": np.array([0.7, 0.3])},
    ...     {"edge": (True, False)},
    ...     {"edge": ("skip", "conv")},
    ... )
    "'edge': 'skip' with a share of 0.70"

    Args:
        shares: Share of each option by decision, `(options,)`.
        weightless: Whether each option has no weights, by decision.
        options: Names of the options by decision.

    Returns:
        The description, or `None`.
    """
    judged = [n for n in shares if 0 < sum(weightless[n]) < len(options[n])]
    leading, dominant = [], []
    for name in judged:
        best = int(np.argmax(shares[name]))
        if not weightless[name][best]:
            continue
        share = float(shares[name][best])
        text = f"{name!r}: {options[name][best]!r} with a share of {share:.2f}"
        if share * len(options[name]) >= LEADING:
            leading.append(text)
        if share > DOMINANT:
            dominant.append(text)
    found = dominant
    if len(judged) > 1 and len(leading) > len(judged) / 2:
        found = leading
    return "; ".join(found) if found else None


def find_majority(
    architecture: Mapping[str, int],
    weightless: Mapping[str, tuple[bool, ...]],
    options: Mapping[str, tuple[object, ...]],
) -> str | None:
    """Describes the operations without weights that most decisions chose.

    One such operation among many is an ordinary result. Decisions whose
    options all have weights, or none, do not count.

    Example:

    >>> find_majority(
    ...     {"a": 0, "b": 0, "c": 1},
    ...     dict.fromkeys("abc", (True, False)),
    ...     dict.fromkeys("abc", ("skip", "conv")),
    ... )
    "2 of 3 decisions: 'a': 'skip'; 'b': 'skip'"

    Args:
        architecture: Index of the chosen option by decision.
        weightless: Whether each option has no weights, by decision.
        options: Names of the options by decision.

    Returns:
        The description, or `None`.
    """
    judged = [
        name
        for name in architecture
        if 0 < sum(weightless[name]) < len(options[name])
    ]
    found = [
        f"{name!r}: {options[name][architecture[name]]!r}"
        for name in judged
        if weightless[name][architecture[name]]
    ]
    if 2 * len(found) <= len(judged) or not found:
        return None
    return f"{len(found)} of {len(judged)} decisions: {'; '.join(found)}"
