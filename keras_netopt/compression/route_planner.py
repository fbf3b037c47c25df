"""Plans a run: which routes reach the target, and at which widths."""

import dataclasses
import math
import tempfile
from dataclasses import dataclass

import keras
import numpy as np

from keras_netopt.compression.candidate import describe_limit
from keras_netopt.compression.layer_gains import count_gains
from keras_netopt.compression.planner import Cut, exceeds, find_cut
from keras_netopt.compression.probe import ProbeWriter
from keras_netopt.compression.route import ZEROS_OF_CUT, Route, list_routes
from keras_netopt.compression.target import Target
from keras_netopt.compression.width_solver import TIMED, WidthSolver
from keras_netopt.graph.layers import walk_layers
from keras_netopt.surgery.cutting.cut_to_widths import LayerWidth, WidthCutter

DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
# Channels that kernels of XNNPACK compute at once; they take as long for
# fewer. Where no multiple of the first fits, the next one is tried.
STEPS = (16, 8, 1)
# Exponent with which the time of a file follows its MACs: .37 on a small CNN,
# .43 on a MobileNetV2-like network, int8 on x86. A start for the search.
TIME_OF_MACS = 0.4


@dataclass(frozen=True)
class Plan:
    """One route with the cut that it needs.

    Args:
        route: The methods.
        cut: The widths and the figures of the file measured there.
    """

    route: Route
    cut: Cut


class RoutePlanner:
    """Finds for each route the smallest cut that meets the limits.

    Files of cut copies are written and measured; nothing is trained.

    Args:
        model: The original model.
        reference: Its float32 file.
        target: The limits.
        cutter: Makes the cuts.
        macs: Multiply-accumulates of the original model.
    """

    def __init__(
        self,
        model: keras.Model,
        reference: str,
        target: Target,
        cutter: WidthCutter,
        macs: float,
    ) -> None:
        self._model = model
        self._reference = reference
        self._target = target
        self._cutter = cutter
        self._limits: dict[str, float] = {**target.limits}
        if target.macs is not None:
            self._limits["macs"] = float(target.max_macs(macs))  # type: ignore[arg-type]
        self._layers: list[LayerWidth] | None = None
        self.files = 0

    def plan(self) -> list[Plan]:
        """Returns the routes that reach the target, the best first.

        Raises:
            ValueError: If no route reaches it.
        """
        with tempfile.TemporaryDirectory() as folder:
            writer = ProbeWriter(
                self._model,
                self._reference,
                self._target,
                folder,
                self._cutter,
            )
            plans = self._make_plans(writer)
            self.files = writer.count
        found = [plan for plan in plans if plan.cut.fits]
        if not found:
            raise self._unreachable(plans)
        return sorted(found, key=lambda plan: plan.route.expected_loss)

    def _make_plans(self, writer: ProbeWriter) -> list[Plan]:
        """Returns a plan per number of bits, and one without zeros."""
        plans: list[Plan] = []
        is_depthwise = any(
            isinstance(layer, DEPTHWISE) for layer in walk_layers(self._model)
        )
        for bits, zeros in list_routes(self._target).items():
            known = [p.route.expected_loss for p in plans if p.cut.fits]
            plain = Route(bits, zeros[0], is_depthwise=is_depthwise)
            if min(known, default=math.inf) < plain.expected_loss:
                break
            tried = [self._measure(plain, writer)]
            for share in zeros[1:]:
                if tried[-1].cut.fits:
                    break
                route = dataclasses.replace(plain, zeros=share)
                tried.append(self._measure(route, writer))
            if not tried[-1].cut.fits and self._find_layers():
                tried = self._cut_all(tried, writer)
            plans += tried
        return plans

    def _cut_all(self, plans: list[Plan], writer: ProbeWriter) -> list[Plan]:
        """Cuts channels without zeros and with them, more if none fits."""
        shares = (0.0, ZEROS_OF_CUT)
        cuts = [
            self._cut(plan, writer)
            for plan in plans
            if plan.route.zeros in shares
        ]
        last = plans[-1]
        if last.route.zeros not in shares and not any(
            plan.cut.fits for plan in cuts
        ):
            cuts.append(self._cut(last, writer))
        return cuts

    def _measure(self, route: Route, writer: ProbeWriter) -> Plan:
        """Measures the file of a route without a cut."""
        first = writer.measure(route, {})
        return Plan(route, Cut({}, first, exceeds(first, self._limits) <= 0))

    def _cut(self, plan: Plan, writer: ProbeWriter) -> Plan:
        """Finds the cut of a route."""
        first, route = plan.cut.probe, plan.route
        is_timed = TIMED in self._limits
        for step in STEPS if is_timed else (1,):
            gains = self._find_gains(step)
            cut = find_cut(
                WidthSolver(self._find_layers(), gains, step),
                lambda widths: writer.measure(route, widths),
                self._limits,
                first,
            )
            if cut.fits:
                break
        return Plan(route.with_cut(cut.probe.cut), cut)

    def _find_gains(self, step: int) -> dict[str, np.ndarray]:
        """Returns the gains of the layers in each cost.

        They are computed from parameters and MACs; that time follows MACs is
        true of the differences between layers, and each measured file
        corrects how much is to be cut.
        """
        layers = self._find_layers()
        counted = count_gains(
            layers, lambda widths: self._cutter.count(self._model, widths)
        )
        params = counted["params"]
        macs = counted.get("macs", params)
        timed = np.array([one.width > step for one in layers])
        return {
            "kilobytes": params,
            "gzip_kilobytes": params,
            "macs": macs,
            TIMED: TIME_OF_MACS * macs * timed,
        }

    def _find_layers(self) -> list[LayerWidth]:
        if self._layers is None:
            self._layers = self._cutter.list_widths(self._model)
        return self._layers

    def _unreachable(self, plans: list[Plan]) -> ValueError:
        best = min(
            plans,
            key=lambda plan: max(
                plan.cut.probe.figures[name] / limit
                for name, limit in self._limits.items()
            ),
        )
        figures = best.cut.probe.figures
        rows = [
            f"{describe_limit(name, figures[name])} of at most "
            f"{describe_limit(name, limit)}"
            for name, limit in self._limits.items()
        ]
        how = (
            "with all channels removed that may be"
            if self._find_layers()
            else "no channel may be removed; `surgery.explain` tells why"
        )
        return ValueError(
            "Argument `target` must be within reach of the model, but the "
            f"nearest file ({best.route.format}, {how}) has "
            f"{'; '.join(rows)}. Received: target={self._target!r}. Raise the "
            "limit, or start from a smaller model."
        )
