"""Plants the faults of mutants.toml and records which the tests catch.

`python scripts/mutants.py --check` looks for each line, `python
scripts/mutants.py masked-gradient keras_netopt/search` tries some faults, no
name tries all, which takes an hour or more. Each is planted in a copy of the
tracked files. pytest runs there on the test folders that mirror the file, then
on all others. With `--contexts`, a data file of `pytest --cov-context=test`
recorded at the same revision, only tests that execute the line run, those of
the mirrored folder and the cheapest first; such a run does not see what tests
execute in child processes. Results in the file are kept: delete one to run it
again. Exits with 1 if a fault is not caught.
"""

import argparse
import ast
import json
import os
import resource
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
GIT = ("git", "-C", str(ROOT))
USERS = ("tests/callbacks", "tests/contract")  # They use every package.
FIRST = 40  # Covering tests of the first round.
TIMEOUT = 3600  # Seconds of one pytest run; a fault may never end.
Mutant = dict[str, Any]


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("chosen", nargs="*", help="ids or beginnings of paths; all by default")
    add("--check", action="store_true", help="only look for each line")
    add("--results", default="build/mutants.json", help="%(default)s")
    add("--revision", help="tested commit; the working tree by default")
    add("--jobs", type=int, default=1, help="processes (%(default)s)")
    add("--contexts", help="coverage data with one context per test")
    add("--costs", help="JSON that `COSTS=... pytest -p costs` wrote")
    options = parser.parse_args()
    content = Path(__file__).with_suffix(".toml").read_text("utf-8")
    mutants = tomllib.loads(content)["mutant"]
    wanted = tuple(options.chosen) or ("",)
    chosen = {
        m["id"]: m
        for m in mutants
        if m["id"] in wanted or m["path"].startswith(wanted)
    }
    wrong = [name for name, m in chosen.items() if find_line(m) is None]
    if options.check or wrong:
        repeated = len(mutants) - len({m["id"] for m in mutants})
        print(f"{len(chosen)} mutants, {repeated} ids twice, wrong: {wrong}")
        return int(bool(wrong or repeated))
    results = Path(options.results)
    results.parent.mkdir(exist_ok=True)
    known = json.loads(results.read_text()) if results.exists() else {}
    tree = subprocess.check_output([*GIT, "stash", "create"], text=True)
    with ProcessPoolExecutor(options.jobs, max_tasks_per_child=1) as pool:
        revision = options.revision or tree.strip() or "HEAD"
        run = partial(try_mutant, revision, options.contexts, options.costs)
        left = [m for name, m in chosen.items() if name not in known]
        for done in as_completed([pool.submit(run, m) for m in left]):
            if done.exception():
                print(f"failed: {done.exception()!r}", flush=True)
                continue
            name, found = done.result()
            known[name] = found
            results.write_text(json.dumps(known, indent=1, sort_keys=True))
            print(name, found["result"], found["test"], flush=True)
    rest = {name: {**m, "result": "failed"} for name, m in chosen.items()}
    return summarize({name: known.get(name, rest[name]) for name in chosen})


def find_line(mutant: Mutant, root: Path = ROOT) -> int | None:
    """Returns the number of the line to replace, if there is just one."""
    lines = (root / mutant["path"]).read_text("utf-8").splitlines()
    found = [
        i
        for i, pair in enumerate(zip(["", *lines], lines, strict=False))
        if mutant["old"] == pair[1].strip()
        and mutant.get("above") in (None, pair[0].strip())
    ]
    return found[0] if len(found) == 1 else None


def try_mutant(
    revision: str, contexts: str | None, costs: str | None, mutant: Mutant
) -> tuple[str, dict[str, Any]]:
    """Runs tests in a copy with the fault, until one fails."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder).resolve()
        content = subprocess.check_output([*GIT, "archive", revision])
        subprocess.run(["tar", "-x", "-C", folder], input=content, check=True)
        path, number = copy / mutant["path"], find_line(mutant, copy)
        lines = path.read_text("utf-8").splitlines(keepends=True)
        rounds = list_folders(mutant, copy)
        tests = contexts and find_covering(mutant, lines, number, contexts)
        if tests:
            known = json.loads(Path(costs).read_text()) if costs else {}
            near, none = (rounds[0] or ["tests"])[0], {"cpu_seconds": 1.0}
            tests.sort(key=lambda t: known.get(t, none)["cpu_seconds"])
            tests.sort(key=lambda t: not t.startswith(near))
            rounds = [tests[:FIRST], tests[FIRST:]]
        lines[number] = lines[number].replace(mutant["old"], mutant["new"])
        path.write_text("".join(lines), "utf-8")
        backend = mutant.get("backend", "tensorflow")
        failures = (run_tests(copy, one, backend) for one in rounds if one)
        test = next(filter(None, failures), None)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return mutant["id"], {
        "path": mutant["path"],
        "result": "caught" if test else "survived",
        "test": test,
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
    }


def list_folders(mutant: Mutant, copy: Path) -> list[list[str]]:
    """Returns the tests that belong to the file, then all others."""
    *folders, name = mutant["path"].removeprefix("keras_netopt/").split("/")
    mirror = Path("tests", *folders)
    while not (copy / mirror).exists():
        mirror = mirror.parent
    files = [f"tests/test_{n}.py" for n in (Path(name).stem, *folders[:1])]
    own = [str(mirror), *files, *USERS] if folders else files
    own = [one for one in own if one != "tests" and (copy / one).exists()]
    own = mutant.get("tests", own)
    return [own, ["tests", *(f"--ignore={one}" for one in own)]]


def find_covering(
    mutant: Mutant, lines: list[str], number: int, contexts: str
) -> list[str]:
    """Returns the ids of the tests that execute the line's statement."""
    import coverage

    line = first = last = number + 1
    for node in ast.walk(ast.parse("".join(lines))):  # Outer ones first.
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            end = body[0].lineno - 1 if body else node.end_lineno or 0
            if node.lineno <= line <= end:
                first, last = node.lineno, end
    data = coverage.CoverageData(contexts)
    data.read()
    names = [f for f in data.measured_files() if f.endswith(mutant["path"])]
    by_line = data.contexts_by_lineno(names[0]) if names else {}
    found = {t for k in range(first, last + 1) for t in by_line.get(k, ())}
    return sorted({test.rpartition("|")[0] for test in found} - {""})


def run_tests(copy: Path, tests: list[str], backend: str) -> str | None:
    """Returns the first failing test, or None."""
    own = {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    environment = {**os.environ, "KERAS_BACKEND": backend, **own}
    call = partial(subprocess.run, cwd=copy, env=environment)
    code = f"import keras_netopt as k; assert {str(copy)!r} in k.__file__"
    call([sys.executable, "-c", code], check=True)  # Tests import the copy.
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no"]
    command += ["-p", "no:cacheprovider", "-m", "not slow and not fuzz", *tests]
    with tempfile.TemporaryFile("w+") as file:
        try:
            done = call(command, stdout=file, stderr=file, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            return "timeout"
        file.seek(0)
        lines = file.read().splitlines()
    if done.returncode in (0, 5):  # 5: every test is slow.
        return None
    if done.returncode == 4:
        raise RuntimeError("\n".join(lines[-20:]))
    failed = [one for one in lines if one.startswith(("FAILED ", "ERROR "))]
    first = failed[0] if failed else f"EXIT {done.returncode}"
    return first.split(" ", 1)[1].split(" - ")[0]


def summarize(found: dict[str, Mutant]) -> int:
    """Prints the counts of each package and the survivors."""
    rows = [
        (one["path"].removeprefix("keras_netopt/").partition("/")[0], name)
        for name, one in found.items()
    ]
    lost = {name for name, one in found.items() if one["result"] != "caught"}
    for package in sorted({package for package, _ in rows}):
        names = [name for one, name in rows if one == package]
        caught = len(set(names) - lost)
        print(f"{package:18} {caught:3} of {len(names)} caught")
    print(f"not caught: {', '.join(sorted(lost)) or 'none'}")
    return int(bool(lost))


if __name__ == "__main__":
    sys.exit(main())
