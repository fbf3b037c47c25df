"""Generated keywords: ten words by many voices of espeak-ng, with noise.

`python -m benchmarks.edge.speech` writes the features once; they depend on
the version of espeak-ng, which is written beside them. No voice is in two of
the three sets: to train, to validate, to test.
"""

import io
import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np

FOLDER = Path("build", "benchmarks", "edge")
WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
ACCENTS = ("en-us", "en-gb", "en-gb-scotland")
VOICES = {
    "train": "m1 m2 m5 m8 f1 f2 f3 adam linda klatt klatt3 edward".split(),
    "validation": "m3 m6 steph".split(),
    "test": "m4 m7 f4 f5 klatt2 belinda travis".split(),
}
# Speeds and pitches of a voice and word.
VERSIONS = {"train": 8, "validation": 6, "test": 6}
NOISES = 2  # Of each recording.
RATE = 22_050
WINDOW, HOP, BINS = 1024, 441, 20

Split = tuple[np.ndarray, np.ndarray]


def load_speech() -> tuple[Split, Split, Split]:
    """Returns features and words: to train, to validate, to test.

    The features are log-mel spectra, shape `(clips, 48, 20, 1)`.

    Raises:
        RuntimeError: If espeak-ng is not installed.
    """
    path = FOLDER / "speech.npz"
    if not path.exists():
        if shutil.which("espeak-ng") is None:
            raise RuntimeError(
                "The keywords need the program espeak-ng. "
                "Remedy: apt-get install espeak-ng"
            )
        FOLDER.mkdir(parents=True, exist_ok=True)
        arrays = _generate()
        np.savez(path, version=_version(), **arrays)
    with np.load(path) as arrays:
        train, validation, test = (
            (arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in VOICES
        )
    return train, validation, test


def _version() -> str:
    command = ["espeak-ng", "--version"]
    return subprocess.run(command, capture_output=True, text=True).stdout


def _generate() -> dict[str, np.ndarray]:
    found = {}
    for part, variants in VOICES.items():
        rng = np.random.default_rng(len(variants))
        clips, labels = [], []
        for accent in ACCENTS:
            for variant in variants:
                for label, word in enumerate(WORDS):
                    for _ in range(VERSIONS[part]):
                        sound = _speak(word, f"{accent}+{variant}", rng)
                        for _ in range(NOISES):
                            clips.append(_features(_disturb(sound, rng)))
                            labels.append(label)
        order = rng.permutation(len(clips))
        found[f"x_{part}"] = np.stack(clips)[order][..., None]
        found[f"y_{part}"] = np.array(labels, "int32")[order]
    mean, spread = found["x_train"].mean(), found["x_train"].std()
    for part in VOICES:
        x = (found[f"x_{part}"] - mean) / spread
        found[f"x_{part}"] = x.astype("float32")
    return found


def _speak(word: str, voice: str, rng: np.random.Generator) -> np.ndarray:
    speed, pitch = rng.integers(120, 260), rng.integers(20, 80)
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch)]
    done = subprocess.run(
        [*command, "--stdout", word], capture_output=True, check=True
    )
    with wave.open(io.BytesIO(done.stdout)) as file:
        content = file.readframes(file.getnframes())
    sound = np.frombuffer(content, "<i2").astype("float32") / 32768
    # espeak-ng adds silence at both ends.
    loud = np.flatnonzero(np.abs(sound) > 0.01)
    return sound[loud[0] : loud[-1] + 1][:RATE]


def _disturb(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Puts the word into one second, with coloured noise at 0 to 20 dB."""
    clip = np.zeros(RATE, "float32")
    begin = rng.integers(0, RATE - len(sound) + 1)
    clip[begin : begin + len(sound)] = sound
    spectrum = np.fft.rfft(rng.standard_normal(RATE))
    frequencies = np.maximum(np.arange(len(spectrum)), 50.0)
    colour = frequencies ** -rng.uniform(0.0, 1.0)
    noise = np.fft.irfft(spectrum * colour, RATE)
    level = np.sqrt(np.mean(sound**2)) * 10 ** (-rng.uniform(0, 20) / 20)
    return clip + noise * level / np.sqrt(np.mean(noise**2))


def _features(clip: np.ndarray) -> np.ndarray:
    count = 1 + (len(clip) - WINDOW) // HOP
    starts = HOP * np.arange(count)[:, None]
    frames = clip[starts + np.arange(WINDOW)] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames)) ** 2
    return np.log(power @ _mel_filters().T + 1e-4)


def _mel_filters() -> np.ndarray:
    """Triangles between 60 and 7,600 Hz, shape `(BINS, frequencies)`."""
    low, high = (2595 * np.log10(1 + f / 700) for f in (60.0, 7600.0))
    mels = np.linspace(low, high, BINS + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    frequencies = np.fft.rfftfreq(WINDOW, 1 / RATE)
    left, middle, right = (edges[i : i + BINS, None] for i in range(3))
    rising = (frequencies - left) / (middle - left)
    falling = (right - frequencies) / (right - middle)
    return np.maximum(0.0, np.minimum(rising, falling))


if __name__ == "__main__":
    for part, (x, y) in zip(VOICES, load_speech(), strict=True):
        print(part, x.shape, np.bincount(y))
