"""Times the choice of a cut against Torch-Pruning, on the same networks.

Both run on torch in a process of their own: tracing the network, and choosing
half of the channels of every layer by the magnitude of their weights. Nothing
is removed.

Run it with `KERAS_BACKEND=torch python -m benchmarks.channel_pruning.planning`;
`pip install torch-pruning keras-hub` first.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "results" / "planning.json"
NETWORKS = ("resnet50", "gpt2")
ROUNDS = 5
CLASSES = 1000
LAYERS, WIDTH, HEADS, VOCABULARY, STEPS = 12, 768, 12, 1000, 128


def keras_network(name: str) -> Any:
    """Builds a network in Keras."""
    import keras

    if name == "resnet50":
        return keras.applications.ResNet50(weights=None)
    import keras_hub

    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=VOCABULARY,
        num_layers=LAYERS,
        num_heads=HEADS,
        hidden_dim=WIDTH,
        intermediate_dim=4 * WIDTH,
        max_sequence_length=STEPS,
    )
    outputs = keras.layers.Dense(CLASSES)(backbone.output[:, 0])
    return keras.Model(backbone.input, outputs)


def torch_network(name: str) -> tuple[Any, Any]:
    """Builds a network in torch, with an example of its inputs."""
    import torch

    if name == "resnet50":
        return _torch_resnet50(), torch.zeros(1, 3, 224, 224)
    return _torch_gpt2(), torch.zeros((1, STEPS), dtype=torch.long)


def _torch_resnet50() -> Any:
    import torch
    from torch import nn

    def conv(inputs: int, outputs: int, size: int, stride: int = 1) -> Any:
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, size, stride, size // 2),
            nn.BatchNorm2d(outputs),
        )

    class Bottleneck(nn.Module):
        def __init__(self, inputs: int, width: int, stride: int) -> None:
            super().__init__()
            self.one = conv(inputs, width, 1, stride)
            self.two = conv(width, width, 3)
            self.three = conv(width, 4 * width, 1)
            same = inputs == 4 * width and stride == 1
            self.shortcut = (
                nn.Identity() if same else conv(inputs, 4 * width, 1, stride)
            )

        def forward(self, x: Any) -> Any:
            y = self.two(self.one(x).relu()).relu()
            return (self.three(y) + self.shortcut(x)).relu()

    blocks, inputs = [], 64
    for stage, (count, width) in enumerate(
        ((3, 64), (4, 128), (6, 256), (3, 512))
    ):
        for number in range(count):
            stride = 2 if stage and not number else 1
            blocks.append(Bottleneck(inputs, width, stride))
            inputs = 4 * width
    return torch.nn.Sequential(
        conv(3, 64, 7, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        *blocks,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2048, CLASSES),
    )


def _torch_gpt2() -> Any:
    import torch

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            nn = torch.nn
            self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.q, self.k, self.v, self.o = (
                nn.Linear(WIDTH, WIDTH) for _ in range(4)
            )
            self.first = nn.Linear(WIDTH, 4 * WIDTH)
            self.last = nn.Linear(4 * WIDTH, WIDTH)

        def forward(self, x: Any) -> Any:
            y = self.norm1(x)
            batch, steps, _ = y.shape
            q, k, v = (
                layer(y).view(batch, steps, HEADS, -1).transpose(1, 2)
                for layer in (self.q, self.k, self.v)
            )
            scores = (q @ k.transpose(-1, -2)) / (WIDTH / HEADS) ** 0.5
            y = torch.softmax(scores, -1) @ v
            x = x + self.o(y.transpose(1, 2).flatten(2))
            y = torch.nn.functional.gelu(self.first(self.norm2(x)))
            return x + self.last(y)

    class GPT2(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            nn = torch.nn
            self.tokens = nn.Embedding(VOCABULARY, WIDTH)
            self.positions = nn.Embedding(STEPS, WIDTH)
            self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
            self.norm, self.head = (
                nn.LayerNorm(WIDTH),
                nn.Linear(WIDTH, CLASSES),
            )

        def forward(self, ids: Any) -> Any:
            places = torch.arange(ids.shape[1], device=ids.device)
            x = self.tokens(ids) + self.positions(places)
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x)[:, 0])

    return GPT2()


def plan_keras(model: Any) -> int:
    """Chooses half of all channels; returns the number of layers cut."""
    from keras_netopt.surgery.cutting.channel_pruner import ChannelPruner

    cut = ChannelPruner.create().choose_units(model, 0.5)
    return len(cut.units)


def plan_torch(network: tuple[Any, Any]) -> int:
    """The same by Torch-Pruning; heads keep their size, as ours do."""
    import torch
    import torch_pruning as tp

    model, example = network
    heads, ignored = {}, []
    for module in model.modules():
        if hasattr(module, "q"):
            heads.update(dict.fromkeys((module.q, module.k, module.v), HEADS))
        is_linear = isinstance(module, torch.nn.Linear)
        if is_linear and module.out_features == CLASSES:
            ignored.append(module)
    pruner = tp.pruner.BasePruner(
        model,
        example,
        importance=tp.importance.GroupMagnitudeImportance(),
        pruning_ratio=0.5,
        ignored_layers=ignored,
        num_heads=heads,
        prune_num_heads=True,
        prune_head_dims=False,
        head_pruning_ratio=0.5,
    )
    return len(list(pruner.step(interactive=True)))


def measure(arm: str, name: str) -> dict[str, Any]:
    """Plans `ROUNDS` cuts; returns CPU seconds and memory in MB."""
    ours = arm == "keras-netopt"
    network = keras_network(name) if ours else torch_network(name)
    plan = plan_keras if ours else plan_torch
    model = network if ours else network[0]
    count = (
        model.count_params()
        if ours
        else sum(one.numel() for one in model.parameters())
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, layers = [], 0
    for _ in range(ROUNDS):
        start = time.process_time()
        layers = plan(network)
        seconds.append(round(time.process_time() - start, 4))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "arm": arm,
        "network": name,
        "cpu_seconds": seconds,
        "cuts": layers,
        "params": count,
        "extra_mb": round((after - before) / 1024, 1),
        "model_mb": round(count * 4 / 2**20, 1),
    }


def main() -> None:
    """Measures every arm in its own process and writes the results."""
    rows = []
    for name in NETWORKS:
        for arm in ("keras-netopt", "torch-pruning"):
            command = [sys.executable, "-m", __spec__.name, arm, name]
            done = subprocess.run(
                command, check=True, capture_output=True, text=True
            )
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            print(rows[-1], flush=True)
    RESULTS.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(json.dumps(measure(*sys.argv[1:3])))
    else:
        main()
