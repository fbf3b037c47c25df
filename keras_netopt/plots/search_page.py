"""Interactive pictures of the trials of a search; requires plotly."""

import html
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from keras_netopt.plots.style import (
    BLUE,
    GREY,
    LIGHT,
    ORANGE,
    RED,
    VALUE_LENGTH,
    shorten_label,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

INACTIVE = -0.12
HEIGHT = 380
# Pixels of a bar of the timeline, and of the tallest picture.
BAR, TALLEST = 14, 1600
KINDS = {
    "complete": {"color": BLUE},
    "stopped or lower rung": {"color": ORANGE, "symbol": "circle-open"},
}


def history(project: Any) -> "Figure":
    """Plots the score of each trial and the best complete one so far."""
    figure = _new_figure("trial", project.objective)
    figure.update_xaxes(**_whole(len(project.trials)))
    numbers = dict(zip(map(id, project.trials), project.numbers, strict=True))
    _add_kinds(figure, project, lambda t: numbers[id(t)], lambda t: t.score)
    failed = [t for t in project.trials if not t.is_scored]
    for trial in failed:
        figure.add_vline(numbers[id(trial)], line={"color": RED, "width": 0.5})
    best: float | None = None
    steps = []
    for trial in project.complete_trials():
        if best is None or project.sign * (trial.score - best) < 0:
            best = trial.score
        steps.append((numbers[id(trial)], best))
    figure.add_scatter(
        x=[x for x, _ in steps],
        y=[y for _, y in steps],
        mode="lines",
        line={"shape": "hv", "color": GREY},
        name="best",
        hoverinfo="skip",
    )
    if failed:
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="lines",
            line={"color": RED},
            name=f"{len(failed)} without a score",
        )
    return figure


def coordinates(project: Any) -> "Figure":
    """Plots parallel coordinates of the complete trials.

    An inactive hyperparameter is below its axis.
    """
    import plotly.graph_objects

    trials = project.complete_trials()
    axes = [_axis(dimension, trials) for dimension in project.space]
    scores = [trial.score for trial in trials]
    axes.append({"label": project.objective, "values": scores})
    figure = plotly.graph_objects.Figure(
        plotly.graph_objects.Parcoords(
            dimensions=axes,
            line={
                "color": scores,
                "colorscale": "Viridis",
                "reversescale": project.direction == "max",  # Best is dark.
                "showscale": True,
            },
            unselected={"line": {"color": LIGHT, "opacity": 0.15}},
        )
    )
    figure.update_layout(
        height=HEIGHT, margin={"l": 70, "r": 40, "t": 60, "b": 30}
    )
    return figure


def importance(effects: Sequence[Any]) -> "Figure":
    """Plots the main effects and their 95 % intervals."""
    figure = _new_figure("share of the variance of the score", None)
    shown = effects[::-1]
    figure.add_bar(
        x=[one.share for one in shown],
        y=[_escape(f"{one.name} (n={one.trials})") for one in shown],
        orientation="h",
        marker={"color": BLUE},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [one.high - one.share for one in shown],
            "arrayminus": [one.share - one.low for one in shown],
            "color": ORANGE,
        },
        hovertext=[
            "<br>".join(
                _escape(f"{bin_.label}: mean {bin_.mean:.4g} (n={bin_.count})")
                for bin_ in one.bins
            )
            for one in shown
        ],
    )
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    figure.update_layout(height=120 + 40 * len(shown), showlegend=False)
    return figure


def slices(project: Any) -> "list[Figure]":
    """Plots the score over each hyperparameter, a picture each."""
    return [_slice(project, dimension) for dimension in project.space]


def front(
    project: Any, chosen: Sequence[Any], metrics: Sequence[str]
) -> "list[Figure]":
    """Plots the first metric over each other one, and the Pareto front."""
    first, *others = metrics
    figures = []
    for other in others:
        figure = _new_figure(other, first)
        _add_kinds(
            figure,
            project,
            lambda t, name=other: t.value(name),
            lambda t: t.value(first),
        )
        figure.add_scatter(
            x=[trial.value(other) for trial in chosen],
            y=[trial.value(first) for trial in chosen],
            mode="markers",
            marker={"color": RED, "size": 11, "symbol": "diamond-open"},
            name="front",
            hoverinfo="skip",
        )
        figures.append(figure)
    return figures


def timeline(project: Any) -> "Figure":
    """Plots the epochs of each trial."""
    figure = _new_figure("epochs", "trial")
    numbered = zip(project.numbers, project.trials, strict=True)
    known = [(number, trial) for number, trial in numbered if trial.epochs]
    for kind, style in KINDS.items():
        own = [(n, t) for n, t in known if _kind(project, t) == kind]
        figure.add_bar(
            x=[trial.epochs for _, trial in own],
            y=[number for number, _ in own],
            orientation="h",
            marker={"color": style["color"], "line": {"width": 0}},
            name=kind,
            hovertext=[_describe(trial, project) for _, trial in own],
            hoverinfo="text",
        )
    height = min(max(HEIGHT, 120 + BAR * len(known)), TALLEST)
    figure.update_layout(height=height, barmode="overlay")
    longest = max((trial.epochs or 0 for _, trial in known), default=0)
    figure.update_xaxes(**_whole(longest))
    figure.update_yaxes(autorange="reversed", **_whole(len(known)))
    return figure


def _whole(count: int) -> dict[str, Any]:
    """Limits the ticks of an axis of trials or epochs to whole numbers."""
    return {"tickformat": "d", **({"dtick": 1} if count <= 10 else {})}


def _slice(project: Any, dimension: Any) -> "Figure":
    figure = _new_figure(dimension.name, project.objective)
    name = dimension.name

    def place(trial: Any) -> Any:
        value = trial.parameters.get(name)
        is_text = dimension.choices and value is not None
        return _escape(value) if is_text else value

    _add_kinds(figure, project, place, lambda t: t.score)
    if dimension.choices:
        figure.update_xaxes(
            type="category",
            categoryorder="array",
            categoryarray=[_escape(one) for one in dimension.choices],
        )
    elif dimension.sampling == "log" or dimension.is_whole:
        ticks = _ticks(dimension)
        figure.update_xaxes(
            type="log" if dimension.sampling == "log" else "linear",
            tickvals=ticks,
            ticktext=[f"{tick:.4g}" for tick in ticks],
        )
    figure.update_layout(height=280, showlegend=False)
    return figure


def _new_figure(x: str, y: str | None) -> "Figure":
    import plotly.graph_objects

    figure = plotly.graph_objects.Figure()
    figure.update_layout(
        template="plotly_white",
        height=HEIGHT,
        margin={"l": 10, "r": 10, "t": 40, "b": 10},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0.0},
    )
    figure.update_xaxes(title=_escape(x), automargin=True)
    figure.update_yaxes(title=y and _escape(y), automargin=True)
    return figure


def _add_kinds(figure: "Figure", project: Any, x: Any, y: Any) -> None:
    """Adds the complete trials, and the others as hollow markers."""
    for kind, style in KINDS.items():
        own = [
            trial
            for trial in project.trials
            if _kind(project, trial) == kind
            and x(trial) is not None
            and y(trial) is not None
        ]
        figure.add_scatter(
            x=[x(trial) for trial in own],
            y=[y(trial) for trial in own],
            mode="markers",
            marker={"size": 7, **style},
            name=kind,
            hovertext=[_describe(trial, project) for trial in own],
            hoverinfo="text",
        )


def _kind(project: Any, trial: Any) -> str | None:
    if not trial.is_scored:
        return None
    return [*KINDS][0 if project.is_complete(trial) else 1]


def _axis(dimension: Any, trials: Iterable[Any]) -> dict[str, Any]:
    """Returns an axis of parallel coordinates, in units of [0, 1]."""
    places = [dimension.unit(t.parameters.get(dimension.name)) for t in trials]
    named = [dimension.name in t.parameters for t in trials]
    values = [
        place if place is not None and known else INACTIVE
        for place, known in zip(places, named, strict=True)
    ]
    if dimension.choices:
        ticks = [
            (dimension.unit(one), shorten_label(str(one), VALUE_LENGTH))
            for one in dimension.choices
        ]
    else:
        ticks = [(dimension.unit(v), f"{v:.4g}") for v in _ticks(dimension)]
    if INACTIVE in values:
        ticks.append((INACTIVE, "inactive"))
    return {
        "label": dimension.name,
        "values": values,
        "range": [min(0.0, *values), 1.0],
        "tickvals": [place for place, _ in ticks],
        "ticktext": [text for _, text in ticks],
    }


def _ticks(dimension: Any) -> list[float]:
    """Returns the limits of a range and what lies between."""
    low, high = dimension.low, dimension.high
    if dimension.sampling == "log" and low > 0:
        exponents = range(
            math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1
        )
        between = [10.0**exponent for exponent in exponents]
    elif dimension.is_whole and high - low <= 8:
        between = [float(number) for number in range(int(low), int(high) + 1)]
    else:
        between = [low + (high - low) * share for share in (0.25, 0.5, 0.75)]
        between = [round(at) if dimension.is_whole else at for at in between]
    ends = float(low), float(high)
    # A tick beside an end would lie under its label.
    inside = [
        at for at in between if all(_is_apart(dimension, at, e) for e in ends)
    ]
    return sorted({*ends, *inside})


def _is_apart(dimension: Any, first: float, second: float) -> bool:
    return abs(dimension.unit(first) - dimension.unit(second)) > 0.08


def _describe(trial: Any, project: Any) -> str:
    """Returns what a marker says of its trial."""
    lines = [f"trial {trial.trial_id}"]
    if trial.score is not None:
        lines.append(f"{project.objective}: {trial.score:.6g}")
    if trial.epochs:
        lines.append(f"epochs: {trial.epochs}")
    lines += [f"{k}: {show_value(v)}" for k, v in trial.parameters.items()]
    return "<br>".join(map(_escape, lines))


def show_value(value: Any) -> str:
    """Formats the value of a hyperparameter."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _escape(value: Any) -> str:
    """Returns a text that plotly shows as it is: it reads some HTML."""
    return html.escape(str(value), quote=False)
