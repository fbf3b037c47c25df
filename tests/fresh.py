"""Runs pieces of code in fresh copies of one small process."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping

# Forks after `preload`: the import of large packages is paid once.
PROGRAM = """
import json, os, sys, traceback

def run(code):
    read, write = os.pipe()
    if os.fork() == 0:
        os.dup2(write, 1)
        try:
            exec(code, {"__name__": "__main__"})
        except BaseException:
            print(traceback.format_exc())
        sys.stdout.flush()
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        text = file.read()
    os.wait()
    return text.strip()

preload, codes = json.load(sys.stdin)
exec(preload)
json.dump({name: run(code) for name, code in codes.items()}, sys.stdout)
"""


def run_fresh(codes: Mapping[str, str], preload: str = "") -> dict[str, str]:
    """What each piece prints, under JAX, after `preload` in all of them.

    A piece that raises prints its traceback.
    """
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        input=json.dumps([preload, codes]),
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stdout)
