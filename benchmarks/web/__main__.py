"""Runs files of `to_litert` in a headless Chromium and compares the outputs.

    python -m benchmarks.web

Requires node 20, npm and Chromium; LiteRT.js is installed in a temporary
folder. Browser and interpreter are timed in turns. Ends with 1 where an output
differs.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

NAME = "web"
CHECK = Path(__file__).parent / "check_browser.mjs"
PACKAGES = ("@litertjs/core@2.5.3", "playwright-core")


def main() -> None:
    """Writes the files, runs them in turns and renders the tables."""
    os.environ.update(
        {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    from benchmarks.web import files

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", help="keep the files; files there are used")
    parser.add_argument("--modules", help="a node_modules with the packages")
    parser.add_argument("--screenshot", help="a picture of the page, .png")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = Path(arguments.folder or scratch / "files")
        folder.mkdir(exist_ok=True)
        if not (folder / "manifest.json").exists():
            files.write_files(folder, arguments.epochs)
        modules = arguments.modules or _install(scratch)
        turns = []
        for number in range(arguments.turns):
            python_ms = _time_in_python(folder, files.time_in_python)
            options = [f"--modules={modules}"]
            options.append(f"--json={scratch / 'report.json'}")
            if arguments.screenshot and not number:
                options.append(f"--screenshot={arguments.screenshot}")
            command = ["node", str(CHECK), str(folder), *options]
            code = subprocess.run(command).returncode
            if code:
                sys.exit(code)
            report = json.loads((scratch / "report.json").read_text())
            turns.append((report, python_ms))
        _record(folder, turns, arguments)
    subprocess.run([sys.executable, "-m", "benchmarks.render"], check=True)


def _install(folder: Path) -> str:
    prefix = ["--silent", "--prefix", str(folder)]
    command = ["npm", "install", *prefix, *PACKAGES]
    subprocess.run(command, check=True)
    return str(folder / "node_modules")


def _time_in_python(folder: Path, measure: Any) -> dict[str, float]:
    manifest = json.loads((folder / "manifest.json").read_text())
    return {
        entry["name"]: measure(folder / entry["file"], entry)
        for entry in manifest["files"]
        if not entry["refused"]
    }


def _record(
    folder: Path,
    turns: list[tuple[dict[str, Any], dict[str, float]]],
    arguments: argparse.Namespace,
) -> None:
    from benchmarks.records import Records
    from benchmarks.web import files

    manifest = json.loads((folder / "manifest.json").read_text())
    known = {entry["name"]: entry for entry in manifest["files"]}
    known |= manifest["stages"]
    first = turns[0][0]
    settings = {
        "epochs": arguments.epochs,
        "turns": arguments.turns,
        "samples": files.SAMPLES,
        **{key: first[key] for key in ("litertjs", "chromium", "node")},
    }
    records = Records(NAME, settings, fresh=True)
    for k, row in enumerate(first["rows"]):
        name = row["name"]
        same = [report["rows"][k] for report, _ in turns]
        done = [one for one in same if one.get("js_ms")]
        records.add(
            {
                "file": name,
                "bytes": known.get(name, {}).get("bytes"),
                "gzip": known.get(name, {}).get("gzip"),
                "refused": row["refused"],
                "stage": row["stage"],
                "error": row.get("error"),
                "exits": row.get("exits"),
                "difference": max(one.get("gap", 0) or 0 for one in same),
                "browser_ms": [round(one["js_ms"], 4) for one in done],
                "python_ms": [
                    round(python_ms[name], 4)
                    for _, python_ms in turns
                    if name in python_ms
                ],
                "runtime_ms": [round(r["runtime_ms"]) for r, _ in turns],
            }
        )


if __name__ == "__main__":
    main()
