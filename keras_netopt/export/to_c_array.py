"""Writes a LiteRT file as an array in C, for microcontrollers."""

import keyword
import os
import re
from typing import Any

from keras_netopt.checks import check_bool
from keras_netopt.export.file_report import read_file
from keras_netopt.files import write_aside

WIDTH = 12  # Bytes per line.
HEADER = """\
// {file}: {count} bytes. Written by keras-netopt; do not edit.
#ifndef {guard}
#define {guard}

#if defined(__cplusplus)
#define {guard}ALIGN alignas(16)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define {guard}ALIGN _Alignas(16)
#else
#define {guard}ALIGN __attribute__((aligned(16)))
#endif

static const unsigned int {name}_len = {count}u;
{guard}ALIGN static const unsigned char {name}[{count}] = {{
{rows}
}};

#undef {guard}ALIGN
#endif  // {guard}
"""


def to_c_array(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    name: str | None = None,
    overwrite: bool = False,
) -> str:
    """Writes a LiteRT file as a C or C++ header with one array.

    The header defines `name`, an array of `unsigned char` at a multiple of
    16 bytes, and `name_len`, its length. It compiles as C99 (GCC, Clang), C11
    and C++11; include it in one source file, because each has its own copy.

    Example:

    >>> from keras_netopt import export
    >>> export.to_c_array("model.tflite", "model.h")
    Traceback (most recent call last):
        ...
    FileNotFoundError: [Errno 2] No such file or directory: 'model.tflite'

    Args:
        path: A `.tflite` file.
        target: The header to write, ending in `.h` or `.hpp`.
        name: Name of the array, an identifier in C. Defaults to `None`: the
            name of the header, as in `model` for `model.h`.
        overwrite: Whether a file that exists at `target` may be replaced.
            Defaults to `False`.

    Returns:
        The name of the array.

    Raises:
        ValueError: If `path` is no LiteRT file, `target` has another ending
            or `name` is no identifier.
        TypeError: If an argument has the wrong type.
        OSError: If a file cannot be read or written; FileExistsError if
            there is a file at `target` and `overwrite` is `False`.
    """
    header = _check_target(target, overwrite)
    name = _check_name(name, header)
    content = read_file(path)
    guard = f"{name.upper()}_H_"
    rows = (
        content[start : start + WIDTH]
        for start in range(0, len(content), WIDTH)
    )
    text = HEADER.format(
        file=os.path.basename(os.fspath(path)),
        count=len(content),
        guard=guard,
        name=name,
        rows=",\n".join(
            "  " + ", ".join(f"0x{b:02x}" for b in r) for r in rows
        ),
    )
    with (
        write_aside(header) as partial,
        open(partial, "x", encoding="utf-8", newline="\n") as file,
    ):
        file.write(text)
    return name


def _check_target(target: Any, overwrite: bool) -> str:
    if not isinstance(target, (str, os.PathLike)):
        raise TypeError(
            "Argument `target` must be a string or a path. "
            f"Received: target={target!r}"
        )
    check_bool(overwrite, "overwrite")
    header = os.fspath(target)
    if not header.endswith((".h", ".hpp")):
        raise ValueError(
            "Argument `target` must end in '.h' or '.hpp'. "
            f"Received: target={header!r}"
        )
    if os.path.lexists(header) and not overwrite:
        raise FileExistsError(
            "Argument `target` must be a new file unless `overwrite=True` "
            "(on the command line: --overwrite). "
            f"Received: target={header!r}, which exists"
        )
    return header


def _check_name(name: Any, header: str) -> str:
    if name is None:
        stem = os.path.splitext(os.path.basename(header))[0]
        name = re.sub(r"\W", "_", stem, flags=re.ASCII)
        return (
            f"model_{name}"
            if not name[:1].isalpha() or _is_word(name)
            else name
        )
    if not isinstance(name, str):
        raise TypeError(
            f"Argument `name` must be a string. Received: name={name!r}"
        )
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or _is_word(name):
        raise ValueError(
            "Argument `name` must be an identifier in C. "
            f"Received: name={name!r}"
        )
    return name


def _is_word(name: str) -> bool:
    """Whether a name is a keyword of C or C++."""
    words = (
        "auto bool case catch char const default delete do double enum extern "
        "export false float friend goto inline int long mutable namespace new "
        "operator private protected public register restrict short signed "
        "sizeof static struct switch template this throw true typedef "
        "typename union unsigned using virtual void volatile"
    )
    return keyword.iskeyword(name) or name in words.split()
