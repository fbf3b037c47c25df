"""Small random data in the place of what an example downloads."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

ROWS = 64
Arrays = tuple[np.ndarray, np.ndarray]


def install(folder: Path, images: int) -> None:
    """Replaces the functions that would download data.

    Args:
        folder: Where files may be written.
        images: Number of images of a data set.
    """
    for name, shape, classes, column in (
        ("mnist", (28, 28), 10, False),
        ("fashion_mnist", (28, 28), 10, False),
        ("cifar10", (32, 32, 3), 10, True),
        ("cifar100", (32, 32, 3), 100, True),
    ):
        source = getattr(keras.datasets, name)
        source.load_data = _images(shape, classes, images, column)
    keras.utils.get_file = lambda name, *_, **__: str(_archive(folder / name))
    np.loadtxt = _series
    try:
        import pandas
    except ImportError:
        return
    _read_tables(pandas)


def _images(
    shape: tuple[int, ...], classes: int, count: int, column: bool
) -> Callable[..., tuple[Arrays, Arrays]]:
    def load_data(*_: Any, **__: Any) -> tuple[Arrays, Arrays]:
        def part(size: int) -> Arrays:
            few = np.random.default_rng(0).integers(0, 256, (ROWS, *shape))
            x = np.resize(few.astype("uint8"), (size, *shape))
            y = (np.arange(size) % classes).astype("uint8")
            return x, y[:, None] if column else y

        return part(count), part(ROWS)

    return load_data


def _series(*_: Any, **__: Any) -> np.ndarray:
    random = np.random.default_rng(0)
    labels = np.where(np.arange(ROWS) % 2, 1.0, -1.0)
    return np.column_stack([labels, random.normal(size=(ROWS, 500))])


def _archive(path: Path) -> Path:
    random = np.random.default_rng(0)
    lines = [
        f"{random.integers(20)},{random.integers(30)},{random.integers(1, 6)}"
        for _ in range(ROWS)
    ]
    with zipfile.ZipFile(path, "w") as archive:
        text = "\n".join(["userId,movieId,rating", *lines])
        archive.writestr(f"{path.stem}/ratings.csv", text)
    return path


def _read_tables(pandas: Any) -> None:
    read = pandas.read_csv

    def read_csv(source: Any, *arguments: Any, **options: Any) -> Any:
        if str(source).startswith("http"):
            source = io.StringIO(_table())
        return read(source, *arguments, **options)

    pandas.read_csv = read_csv


def _table() -> str:
    words = [" Private", " Bachelors", " Single", " Sales", " Own", " White"]
    lines = []
    for row in range(ROWS):
        kind = [f"{word}{row % 3}" for word in words]
        number = [row + 20, row * 7, row % 16, row, row % 5, 40]
        cells = [number[0], kind[0], number[1], kind[1], number[2], *kind[2:]]
        last = [" Female", *number[3:], " Iceland"]
        target = " >50K" if row % 2 else " <=50K"
        lines.append(",".join(map(str, [*cells, *last, target])))
    return "\n".join(lines)
