"""One row per public component: purpose, documentation and limits.

The rows drive the contract suite, the docs table and `keras-netopt methods`.
This package imports no Keras.
"""

from collections.abc import Iterable

from keras_netopt.registry import (
    architecture,
    architecture_spaces,
    compression,
    curriculum,
    depth,
    distillation,
    fine_tuning,
    learning_rate,
    progressive,
    quantization,
    recipe,
    reinforcement,
    search,
    search_report,
    shipping,
    sparsity,
    surgery,
)
from keras_netopt.registry.method import Method

__all__ = [
    "METHODS",
    "Method",
    "get",
    "to_markdown",
]

METHODS: tuple[Method, ...] = (
    *compression.METHODS,
    *sparsity.METHODS,
    *quantization.METHODS,
    *surgery.METHODS,
    *curriculum.METHODS,
    *depth.METHODS,
    *distillation.METHODS,
    *progressive.METHODS,
    *fine_tuning.METHODS,
    *reinforcement.METHODS,
    *learning_rate.METHODS,
    *search_report.METHODS,
    *search.METHODS,
    *architecture.METHODS,
    *architecture_spaces.METHODS,
    *shipping.METHODS,
    *recipe.METHODS,
)


def get(name: str) -> Method | None:
    """Finds a row by its public path or its last part.

    Example:

    >>> get("Pruning") is get("callbacks.Pruning")
    True
    >>> get("Unknown") is None
    True

    Args:
        name: "callbacks.Pruning" or "Pruning".

    Returns:
        The row, or `None` where there is none, or more than one has this last
        part: "report" may be `sparsity.report` or `search.report`.
    """
    found = [one for one in METHODS if name in (one.name, one.short_name)]
    return found[0] if len(found) == 1 else None


def to_markdown(methods: Iterable[Method] = METHODS) -> str:
    """Renders rows as the markdown table of docs/methods.

    Example:

    >>> print(to_markdown([get("cost.summarize")]))
    | name | kind | purpose | card | reference |
    | --- | --- | --- | --- | --- |
    | `cost.summarize` | function | Counts parameters, zeros, MACs and bytes \
of a model. | [cost](cost.md) | - |

    Args:
        methods: The rows. Defaults to all.

    Returns:
        The table without a trailing newline.
    """
    lines = [
        "| name | kind | purpose | card | reference |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in methods:
        card = f"[{row.card}]({row.card}.md)" if row.card else "-"
        lines.append(
            f"| `{row.name}` | {row.kind} | {row.summary} | {card} | "
            f"{row.reference or '-'} |"
        )
    return "\n".join(lines)
