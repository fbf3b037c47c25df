"""Reports of searches: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="search.read_project",
        summary="Reads a project folder of KerasTuner.",
        card="search_reports",
    ),
    Method(
        name="search.leaderboard",
        summary="Ranks the trials of a search.",
        card="search_reports",
    ),
    Method(
        name="search.plots",
        summary="Draws the results of a search.",
        card="search_reports",
    ),
    Method(
        name="search.report",
        summary="Writes the results of a search as an HTML page.",
        card="search_reports",
    ),
)
