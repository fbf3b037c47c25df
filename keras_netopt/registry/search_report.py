"""Reports of searches: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="search.read",
        kind="function",
        summary="Reads any KerasTuner project without KerasTuner.",
        card="search_reports",
    ),
    Method(
        name="search.leaderboard",
        kind="function",
        summary="Lists the trials of a search, best first.",
        card="search_reports",
    ),
    Method(
        name="search.plots",
        kind="function",
        summary="Plots the history and the effects of a search.",
        card="search_reports",
    ),
)
