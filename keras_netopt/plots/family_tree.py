"""Family tree of a search whose networks inherit from each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keras_netopt.plots.style import (
    GREY,
    LIGHT,
    SERIES,
    Path,
    count,
    legend_below,
    new_figure,
    save_figure,
    style_axes,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class FamilyMember:
    """One network in `family_tree`.

    Example:

    >>> FamilyMember(1, 0, spent=10, score=0.9, operation="widen").is_ancestor
    False

    Args:
        number: Its number.
        parent: Number of the network it inherits from, or `None`.
        spent: Training MACs of the search when it was trained.
        score: Its objective; `None` if training failed.
        operation: What made it, for the color.
        is_ancestor: Whether the best network descends from it, or is it.
            Defaults to `False`.
    """

    number: int
    parent: int | None
    spent: float
    score: float | None
    operation: str
    is_ancestor: bool = False


def family_tree(
    members: Sequence[FamilyMember],
    *,
    metric: str = "val_accuracy",
    title: str | None = None,
    path: Path | None = None,
) -> "Figure":
    """Plots each network's objective against the training MACs of the search.

    Lines lead from parents to children; those to the best network are thick.

    Example:

    >>> first = FamilyMember(0, None, 5, 0.8, "none", is_ancestor=True)
    >>> child = FamilyMember(1, 0, 11, 0.9, "widen", is_ancestor=True)
    >>> figure = family_tree([first, child])
    >>> figure.axes[0].get_ylabel()
    'val_accuracy'

    Args:
        members: The networks.
        metric: Name of the objective. Defaults to `"val_accuracy"`.
        title: Title of the figure. Defaults to `None`.
        path: Image file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If no network has a score.
    """
    shown = {one.number: one for one in members if one.score is not None}
    if not shown:
        raise ValueError(
            "Argument `members` must hold a network with a score. "
            f"Received: members={list(members)}"
        )
    figure = new_figure(7.5, 4.6)
    axes = figure.add_subplot()
    for one in shown.values():
        parent = None if one.parent is None else shown.get(one.parent)
        if parent is None:
            continue
        is_line = one.is_ancestor and parent.is_ancestor
        axes.plot(
            [parent.spent, one.spent],
            [_score(parent), _score(one)],
            color="black" if is_line else LIGHT,
            linewidth=1.6 if is_line else 0.8,
            zorder=2 if is_line else 1,
        )
    names = dict.fromkeys(one.operation for one in shown.values())
    for name in names:
        own = [one for one in shown.values() if one.operation == name]
        axes.scatter(
            [one.spent for one in own],
            [_score(one) for one in own],
            s=[52 if one.is_ancestor else 24 for one in own],
            color=_color(name),
            edgecolors=["black" if one.is_ancestor else "white" for one in own],
            linewidths=0.8,
            label=name.replace("_", " "),
            zorder=3,
        )
    axes.set(xlabel="training MACs of the search", ylabel=metric)
    axes.xaxis.set_major_formatter(_tera)
    if title:
        axes.set_title(title, fontsize=10)
    style_axes(axes, grid="y")
    legend_below(axes)
    return save_figure(figure, path)


def _score(member: FamilyMember) -> float:
    return float(member.score or 0.0)


def _color(operation: str) -> str:
    known = ("widen", "deepen", "narrow", "remove_block", "several")
    if operation in known:
        return SERIES[known.index(operation)]
    return GREY


def _tera(value: float, position: float) -> str:
    for unit, name in ((1e12, "T"), (1e9, "G")):
        if value >= unit:
            return f"{value / unit:.4g}{name}"
    return count(value, position)
