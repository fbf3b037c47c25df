"""What is done to a model on the way to its file."""

from dataclasses import dataclass, field, replace

from keras_netopt.compression.target import Target

FORMATS = {8: "int8", 4: "int4", 2: "int2"}
# Points of accuracy that a network of some 100,000 weights lost with further
# training: see the benchmarks of quantization, pruning and channel pruning.
LOST_BY_BITS = {8: 0.0, 4: 0.2, 2: 2.0}
# The same of networks with depthwise kernels, which stand few bits badly.
LOST_BY_BITS_DEPTHWISE = {8: 0.0, 4: 1.0, 2: 15.0}
LOST_BY_CUT = 0.2
LOST_BY_ZEROS = {0.0: 0.0, 0.5: 0.05, 0.8: 0.15, 0.9: 0.6}
# Zeros beside cut channels. At equal size 90 % with a smaller cut lost more:
# see the CNN of the benchmark of files for devices.
ZEROS_OF_CUT = 0.8
ZEROS = tuple(LOST_BY_ZEROS)


@dataclass(frozen=True)
class Route:
    """A combination of methods.

    Example:

    >>> print(Route(8, cut=0.41))
    41 % cut, int8

    Args:
        bits: Bits of the kernels: 8 with integer activations; 4 or 2, which
            compute in float32.
        zeros: Share of zeros among the weights of the kernels. Defaults to
            `0.0`.
        cut: Share of the parameters to remove with channels. Defaults to
            `0.0`.
        is_depthwise: Whether the network has depthwise kernels. Defaults to
            `False`.
    """

    bits: int = 8
    zeros: float = 0.0
    cut: float = 0.0
    is_depthwise: bool = field(default=False, compare=False)

    @property
    def format(self) -> str:
        """The `quantize` of `export.to_litert`."""
        return FORMATS[self.bits]

    @property
    def expected_loss(self) -> float:
        """Points of accuracy that the route is expected to lose.

        Only the order of routes depends on it.
        """
        # Half a point at a quarter of the weights, after further training.
        by_cut = LOST_BY_CUT * (1 / max(1 - self.cut, 1e-3) - 1)
        lost = LOST_BY_BITS_DEPTHWISE if self.is_depthwise else LOST_BY_BITS
        return lost[self.bits] + LOST_BY_ZEROS[self.zeros] + by_cut

    def with_cut(self, cut: float) -> "Route":
        """Returns the same route with another share of channels removed."""
        return replace(self, cut=cut)

    def __str__(self) -> str:
        """Describes the route."""
        parts = [f"{self.cut:.0%} cut"] if self.cut else []
        parts += [f"{self.zeros:.0%} zeros"] if self.zeros else []
        return ", ".join([*parts, self.format]).replace("%", " %")


def list_routes(target: Target) -> dict[int, tuple[float, ...]]:
    """Returns the numbers of bits that may serve a target.

    Kernels of 4 and 2 bits are decoded to float32, so that they make no file
    faster and have no integer inputs. Zeros count after gzip alone.

    Returns:
        For each number of bits the shares of zeros to try, in this order.
    """
    all_bits = [8]
    is_size = not {"kilobytes", "gzip_kilobytes"}.isdisjoint(target.limits)
    if is_size and target.io == "float32" and target.latency_ratio is None:
        all_bits += [4, 2]
    zeros = ZEROS if target.gzip_kilobytes is not None else (0.0,)
    return dict.fromkeys(all_bits, zeros)
