"""Search spaces: functions that return a `build(hp)` for any tuner."""

from keras_netopt.search.spaces.nas_bench_201 import nas_bench_201
from keras_netopt.search.spaces.space import Space

__all__ = ["Space", "nas_bench_201"]
