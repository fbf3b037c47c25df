"""Times several ways of doing one thing against each other."""

import gc
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Fit = Callable[[], Any]


def take_turns(
    fits: Mapping[str, Fit], rounds: int
) -> Iterator[dict[str, Any]]:
    """Yields a row a call: arms in random order, round by round.

    Args:
        fits: What to call, by the name of its arm.
        rounds: How often each.
    """
    order = random.Random(0)
    for turn in range(rounds):
        names = list(fits)
        order.shuffle(names)
        gc.collect()
        for name in names:
            wall, cpu = time.perf_counter(), time.process_time()
            fits[name]()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            yield {
                "arm": name,
                "round": turn,
                "wall": round(wall, 5),
                "cpu": round(cpu, 5),
            }
