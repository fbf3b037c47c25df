"""One row per public piece: what it is for and with whom it can collide.

The rows drive the contract suite, the docs table and `keras-netopt methods`,
and callbacks read their order rules here. This module imports no Keras.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

ALL_DOMAINS = ("image", "text", "audio", "tabular", "rl")
LOGGERS = ("CSVLogger", "TensorBoard")


@dataclass(frozen=True, kw_only=True)
class Method:
    """Describes one public piece.

    Order rules name callback classes, their own or a parent's, and may add
    one attribute: `"EarlyStopping(restore_best_weights=True)"`.

    Example:

    >>> row = Method(
    ...     name="callbacks.Shrink", kind="callback", summary="Shrinks a model."
    ... )
    >>> row.short_name, row.retraces
    ('Shrink', 'never')

    Args:
        name: Public path below `keras_netopt`, as in "callbacks.Pruning".
        kind: "callback", "layer", "loss", "function" or "oracle".
        summary: What it is for, one line.
        function: Public path of the twin that works without `fit`. Defaults
            to `None`.
        card: Name of the page in docs/methods, without ".md". Defaults to
            `None`.
        domains: Where it applies, of "image", "text", "audio", "tabular" and
            "rl". Defaults to all of them.
        reference: Paper, year and id. Defaults to `""`.
        touches: What it changes, of "weights", "shapes", "graph", "data",
            "loss", "train_step", "optimizer" and "dials". Defaults to `()`.
        after: Callbacks that must stand before it, else a ValueError.
            Defaults to `()`.
        before: Callbacks that should stand behind it, else a warning.
            Defaults to `()`.
        conflicts: Callbacks that cannot be in the same fit. Defaults to `()`.
        retraces: How often it forces a new compiled step: "never",
            "on_event" or "epoch". Defaults to `"never"`.
        limits: Contract checks that it is exempt from, each with the reason.
            Defaults to none.
        data_args: Arguments that hold data and cannot go into a config.
            Defaults to `()`.
        experimental: Whether the method is unproven. Defaults to `False`.
    """

    name: str
    kind: str
    summary: str
    function: str | None = None
    card: str | None = None
    domains: tuple[str, ...] = ALL_DOMAINS
    reference: str = ""
    touches: frozenset[str] = frozenset()
    after: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    retraces: str = "never"
    limits: Mapping[str, str] = field(default_factory=dict, hash=False)
    data_args: tuple[str, ...] = ()
    experimental: bool = False

    @property
    def short_name(self) -> str:
        """The last part of the name: the class or function itself."""
        return self.name.rpartition(".")[2]


METHODS: tuple[Method, ...] = (
    Method(
        name="callbacks.Pruning",
        kind="callback",
        summary="Prunes a model inside `fit`: exact zeros, no wrapper.",
        function="sparsity.prune",
        card="pruning",
        reference="Zhu and Gupta 2017, arXiv 1710.01878",
        touches=frozenset({"weights", "optimizer"}),
        after=("EarlyStopping(restore_best_weights=True)",),
        before=("ModelCheckpoint", *LOGGERS),
        data_args=("data",),
    ),
    Method(
        name="callbacks.BestCheckpoint",
        kind="callback",
        summary="Saves the best epoch, never one denser than the target.",
        card="pruning",
        after=("Pruning",),
    ),
    Method(
        name="callbacks.ChannelPruning",
        kind="callback",
        summary="Cuts whole channels inside `fit`: smaller and faster.",
        function="surgery.prune_channels",
        card="channel_pruning",
        reference="Li et al. 2016, arXiv 1608.08710",
        touches=frozenset({"weights", "shapes", "optimizer"}),
        before=("ModelCheckpoint", *LOGGERS),
        retraces="on_event",
        limits={"C7": "a new object changes the model once more"},
        data_args=("data",),
    ),
    Method(
        name="callbacks.CostLedger",
        kind="callback",
        summary="Counts the MACs that a training has spent.",
        card="growing",
        before=LOGGERS,
    ),
    Method(
        name="callbacks.Curriculum",
        kind="callback",
        summary="Decides by difficulty what the model sees next.",
        function="curriculum.sample_losses",
        card="curriculum",
        reference="Wu et al. 2020, arXiv 2012.03107; Platanios et al. 2019, "
        "arXiv 1903.09848",
        touches=frozenset({"data"}),
        before=LOGGERS,
        limits={
            "C3": "it orders the samples itself, so no setting repeats the "
            "order that `fit` gives plain arrays"
        },
        data_args=("x", "y", "sample_weight", "difficulty", "labels"),
    ),
    Method(
        name="callbacks.Growing",
        kind="callback",
        summary="Widens and deepens a network inside `fit`.",
        function="surgery.widen",
        card="growing",
        reference="Chen et al. 2016, arXiv 1511.05641; Wen et al. 2020, "
        "arXiv 1906.02909",
        touches=frozenset({"weights", "shapes", "graph", "optimizer"}),
        before=LOGGERS,
        retraces="on_event",
        limits={"C7": "a new object changes the model once more"},
        data_args=("data",),
    ),
    Method(
        name="callbacks.SelectiveBackprop",
        kind="callback",
        summary="Trains on the samples of a batch that are worth it.",
        function="curriculum.select_samples",
        card="curriculum",
        reference="Jiang et al. 2019, arXiv 1910.00762; Mindermann et al. "
        "2022, arXiv 2206.07137",
        touches=frozenset({"data", "train_step"}),
        before=LOGGERS,
        retraces="on_event",
        limits={"C3": "whatever it chooses changes what is learnt"},
    ),
    Method(
        name="callbacks.Dial",
        kind="callback",
        summary="Moves drop rates and other dials of layers in `fit`.",
        card="stochastic_depth",
        reference="Zhang and He 2020, arXiv 2010.13369",
        touches=frozenset({"dials"}),
        before=LOGGERS,
        limits={"C3": "a dial holds some value at every step"},
    ),
    Method(
        name="layers.StochasticDepth",
        kind="layer",
        summary="Drops whole blocks at random while a network trains.",
        card="stochastic_depth",
        reference="Huang et al. 2016, arXiv 1603.09382",
        touches=frozenset({"dials"}),
    ),
    Method(
        name="layers.LayerDrop",
        kind="layer",
        summary="Trains a stack of blocks that can lose half of them.",
        card="stochastic_depth",
        reference="Fan et al. 2019, arXiv 1909.11556",
        touches=frozenset({"dials"}),
    ),
    Method(
        name="layers.SkipGate",
        kind="layer",
        summary="Skips a block for the samples that can do without.",
        card="skip_gate",
        reference="Wang et al. 2018, arXiv 1711.09485",
        touches=frozenset({"dials", "loss"}),
    ),
    Method(
        name="layers.MixtureOfDepths",
        kind="layer",
        summary="Runs a block on the tokens that need it most.",
        card="mixture_of_depths",
        domains=("text", "audio", "image"),
        reference="Raposo et al. 2024, arXiv 2404.02258",
        touches=frozenset({"dials", "loss"}),
    ),
    Method(
        name="layers.AdaptiveComputation",
        kind="layer",
        summary="Repeats a cell as often as each sample needs it.",
        card="adaptive_computation",
        reference="Graves 2016, arXiv 1603.08983; Banino et al. 2021, arXiv "
        "2107.05407",
        touches=frozenset({"dials", "loss"}),
    ),
    Method(
        name="depth.add_stochastic_depth",
        kind="function",
        summary="Lets residual blocks of a finished model drop out.",
        card="stochastic_depth",
        reference="Huang et al. 2016, arXiv 1603.09382",
        touches=frozenset({"graph"}),
    ),
    Method(
        name="depth.extract",
        kind="function",
        summary="Keeps some blocks of a LayerDrop stack: less deep.",
        card="stochastic_depth",
        reference="Fan et al. 2019, arXiv 1909.11556",
    ),
    Method(
        name="depth.linear_rates",
        kind="function",
        summary="Lists drop rates that grow with depth.",
        card="stochastic_depth",
        reference="Huang et al. 2016, arXiv 1603.09382",
    ),
    Method(
        name="curriculum.SuperLoss",
        kind="loss",
        summary="Turns down what is too hard: robust to wrong labels.",
        card="curriculum",
        reference="Castells et al. 2020, NeurIPS",
        touches=frozenset({"loss"}),
    ),
    Method(
        name="curriculum.select_samples",
        kind="function",
        summary="Chooses the samples of a batch that are worth it.",
        card="curriculum",
        reference="Jiang et al. 2019, arXiv 1910.00762",
    ),
    Method(
        name="curriculum.compare_arms",
        kind="function",
        summary="Compares curricula with their control, seed by seed.",
        card="curriculum",
        data_args=("x", "y", "validation_data", "difficulty"),
    ),
    Method(
        name="curriculum.sample_losses",
        kind="function",
        summary="Computes the loss of each sample of a data set.",
        card="curriculum",
        data_args=("x", "y"),
    ),
    Method(
        name="sparsity.prune",
        kind="function",
        summary="Prunes a model in one shot, without `fit`.",
        card="pruning",
        reference="Han et al. 2015, arXiv 1506.02626",
        touches=frozenset({"weights"}),
        data_args=("data",),
    ),
    Method(
        name="sparsity.select",
        kind="function",
        summary="Lists what would be pruned, and why the rest would not.",
        card="pruning",
    ),
    Method(
        name="sparsity.report",
        kind="function",
        summary="Tells how sparse a model is, layer by layer.",
        card="pruning",
    ),
    Method(
        name="sparsity.finalize",
        kind="function",
        summary="Puts the zeros back that another callback has undone.",
        card="pruning",
        touches=frozenset({"weights"}),
    ),
    Method(
        name="sparsity.strip",
        kind="function",
        summary="Lets go of the masks, so that zeros may train again.",
        card="pruning",
        touches=frozenset({"optimizer"}),
    ),
    Method(
        name="sparsity.load_masks",
        kind="function",
        summary="Takes the masks of a saved model over into a new one.",
        card="pruning",
        touches=frozenset({"weights", "optimizer"}),
    ),
    Method(
        name="surgery.prune_channels",
        kind="function",
        summary="Cuts the least important channels of a model at once.",
        card="channel_pruning",
        reference="Li et al. 2016, arXiv 1608.08710",
        touches=frozenset({"weights", "shapes", "optimizer"}),
        retraces="on_event",
        limits={"C7": "a second call cuts again"},
        data_args=("data",),
    ),
    Method(
        name="surgery.widen",
        kind="function",
        summary="Gives a layer more units, outputs preserved, in place.",
        card="growing",
        reference="Chen et al. 2016, arXiv 1511.05641; Yuan et al. 2023, "
        "arXiv 2306.12700; Evci et al. 2022, arXiv 2201.05125",
        touches=frozenset({"weights", "shapes", "optimizer"}),
        retraces="on_event",
        data_args=("data",),
        limits={"C7": "a second call grows again"},
    ),
    Method(
        name="surgery.deepen",
        kind="function",
        summary="Inserts blocks behind a layer, outputs preserved.",
        card="growing",
        reference="Chen et al. 2016, arXiv 1511.05641; Wen et al. 2020, "
        "arXiv 1906.02909",
        touches=frozenset({"weights", "shapes", "graph", "optimizer"}),
        retraces="on_event",
        limits={"C7": "a second call grows again"},
    ),
    Method(
        name="surgery.remove",
        kind="function",
        summary="Cuts units of layers and all that hangs on them.",
        card="channel_pruning",
        reference="Fang et al. 2023, arXiv 2301.12900",
        touches=frozenset({"weights", "shapes", "optimizer"}),
        retraces="on_event",
        limits={
            "C7": "a second call cuts the units that now have these numbers"
        },
    ),
    Method(
        name="surgery.explain",
        kind="function",
        summary="Lists every weight that hangs on a layer's units.",
        card="channel_pruning",
    ),
    Method(
        name="surgery.snapshot",
        kind="function",
        summary="Keeps what a model answers before an edit.",
        card="growing",
        data_args=("data",),
    ),
    Method(
        name="surgery.check_preserved",
        kind="function",
        summary="Measures how far an edit has moved a model's outputs.",
        card="growing",
        data_args=("data",),
    ),
    Method(
        name="surgery.replay",
        kind="function",
        summary="Redoes edits on a fresh model, to load its weights.",
        card="growing",
        touches=frozenset({"weights", "shapes", "graph", "optimizer"}),
        retraces="on_event",
    ),
    Method(
        name="surgery.register",
        kind="function",
        summary="Teaches the channel graph a layer of your own.",
        card="channel_pruning",
    ),
    Method(
        name="layers.EarlyExit",
        kind="layer",
        summary="Marks where easy samples may leave the network.",
        function="depth.add_exits",
        card="early_exit",
        reference="Teerapittayanon et al. 2016, arXiv 1709.01686",
        touches=frozenset({"graph"}),
    ),
    Method(
        name="depth.add_exits",
        kind="function",
        summary="Lets a model answer at several depths.",
        card="early_exit",
        reference="Teerapittayanon et al. 2016, arXiv 1709.01686; Huang et "
        "al. 2017, arXiv 1703.09844",
    ),
    Method(
        name="depth.calibrate",
        kind="function",
        summary="Chooses when samples leave, within a budget.",
        card="early_exit",
        reference="Huang et al. 2017, arXiv 1703.09844; Schuster et al. "
        "2022, arXiv 2207.07061",
        data_args=("x_val", "y_val"),
    ),
    Method(
        name="export.to_litert",
        kind="function",
        summary="Writes a LiteRT file, proven equal to the model.",
        card="export",
        data_args=("representative_data",),
    ),
    Method(
        name="cost.summarize",
        kind="function",
        summary="Counts parameters, zeros, MACs and bytes of a model.",
        card="cost",
    ),
    Method(
        name="cost.matched_epochs",
        kind="function",
        summary="Tells how long another model may train at equal MACs.",
        card="cost",
    ),
    Method(
        name="cost.measure_latency",
        kind="function",
        summary="Times models and LiteRT files against each other.",
        card="cost",
    ),
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
        The row, or `None` where there is none.
    """
    for method in METHODS:
        if name in (method.name, method.short_name):
            return method
    return None


def to_markdown(methods: Iterable[Method] = METHODS) -> str:
    """Renders rows as the markdown table of docs/methods.

    Example:

    >>> print(to_markdown([get("cost.summarize")]))
    | name | kind | what it is for | card | reference |
    | --- | --- | --- | --- | --- |
    | `cost.summarize` | function | Counts parameters, zeros, MACs and bytes \
of a model. | [cost](cost.md) | - |

    Args:
        methods: The rows. Defaults to all.

    Returns:
        The table without a trailing newline.
    """
    lines = [
        "| name | kind | what it is for | card | reference |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in methods:
        card = f"[{row.card}]({row.card}.md)" if row.card else "-"
        mark = " Experimental." if row.experimental else ""
        lines.append(
            f"| `{row.name}` | {row.kind} | {row.summary}{mark} | {card} | "
            f"{row.reference or '-'} |"
        )
    return "\n".join(lines)
