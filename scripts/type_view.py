"""Links the sources into one package folder, as type checkers expect them.

`callbacks/` and `layers/` are next to `keras_netopt/` and are installed
inside it; a checker that reads files cannot follow that mapping.
"""

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VIEW = ROOT / "build" / "typing" / "keras_netopt"


def main() -> None:
    """Rebuilds build/typing/keras_netopt."""
    shutil.rmtree(VIEW.parent, ignore_errors=True)
    VIEW.mkdir(parents=True)
    for source in (ROOT / "keras_netopt").iterdir():
        if source.name != "__pycache__":
            (VIEW / source.name).symlink_to(source)
    for name in ("callbacks", "layers"):
        (VIEW / name).symlink_to(ROOT / name)


if __name__ == "__main__":
    main()
