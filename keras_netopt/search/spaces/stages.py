"""Choices of image networks that consist of stages of blocks."""

from collections.abc import Mapping
from typing import Any

from keras_netopt.search.scaling.compound_scale_factors import CompoundScale
from keras_netopt.search.spaces.options import active_from, choose
from keras_netopt.search.spaces.space import Choices


def choose_stages(
    hp: Any,
    settings: Mapping[str, Any],
    of_stage: tuple[str, ...] = (),
    of_block: tuple[str, ...] = (),
) -> list[Choices]:
    """Returns the choices of each stage; stage i has 2**i times the width.

    The settings hold the options "stages", "blocks" and "width", and those
    named by `of_stage`, one choice a stage, and by `of_block`, one a block.
    """
    counts, blocks = settings["stages"], settings["blocks"]
    count = choose(hp, "stages", counts)
    found = []
    for i in range(max(counts)):
        name = f"stage{i + 1}"
        widths = tuple(one * 2**i for one in settings["width"])
        with active_from(hp, "stages", counts, i + 1):
            stage = {
                "width": choose(hp, f"{name}/width", widths),
                "blocks": choose(hp, f"{name}/blocks", blocks),
                **{
                    one: choose(hp, f"{name}/{one}", settings[one])
                    for one in of_stage
                },
            }
            each = [
                _choose_block(hp, settings, name, k, of_block)
                for k in range(1, max(blocks) + 1)
            ]
        if i < count:
            stage["each"] = each[: stage["blocks"]]
            found.append(stage)
    return found


def scale_stages(choices: Choices, scale: CompoundScale) -> Choices:
    """Scales the blocks and channels of each stage.

    Further blocks are like the last one of the stage.
    """
    stages = []
    for stage in choices["stages"]:
        count = scale.repeats(stage["blocks"])
        last = stage["each"][-1:] * (count - stage["blocks"])
        scaled = {"blocks": count, "each": stage["each"] + last}
        width = scale.channels(stage["width"])
        stages.append({**stage, **scaled, "width": width})
    return {**choices, "stages": stages}


def _choose_block(
    hp: Any,
    settings: Mapping[str, Any],
    stage: str,
    number: int,
    names: tuple[str, ...],
) -> Choices:
    blocks = settings["blocks"]
    with active_from(hp, f"{stage}/blocks", blocks, number):
        return {
            one: choose(hp, f"{stage}/block{number}/{one}", settings[one])
            for one in names
        }
