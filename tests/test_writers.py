"""Every file is written aside: found in the syntax trees of the package.

A call that writes a file must be given a name that `write_aside`,
`open_partial`, `write_folder_aside` or a temporary folder has yielded in the
same function. The table lists functions that are given such a name, with the
reason; an entry that is not needed any more fails.
"""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_backend

ROOT = Path(__file__).parent.parent
FOLDERS = ("keras_netopt", "callbacks", "layers")
OPENERS = {
    "write_aside",
    "open_partial",
    "write_folder_aside",
    "open_temporary_files",
    "TemporaryDirectory",
    "mkdtemp",
}
# Methods and functions that write to a path, and which argument that is.
WRITERS = {
    "np.save": 0,
    "np.savez": 0,
    "np.savez_compressed": 0,
    "np.savetxt": 0,
    "numpy.save": 0,
    "shutil.copy": 1,
    "shutil.copy2": 1,
    "shutil.copyfile": 1,
    "shutil.copytree": 1,
    "shutil.move": 1,
    "os.replace": 1,
    "os.rename": 1,
    "keras.saving.save_model": 1,
    "keras.saving.save_weights": 1,
    "tf.saved_model.save": 1,
}
METHODS = {
    "save": 0,
    "save_weights": 0,
    "savefig": 0,
    "export": 0,
    "to_csv": 0,
    "tofile": 0,
    "write_text": None,  # The path is the object.
    "write_bytes": None,
}
GIVEN = "the caller's partial file or temporary folder"
TASK = "the folder of a task, which the parent process deletes"
OWN = "a method or function of this package, which this test looks at itself"
LOCK = "files that are created exclusively and never replaced"
STREAM = "a stream of the process, no file"
RENAMED = "a damaged file, which gets another name"
ALLOWED = {
    "cli.trials_command.run": OWN,
    "cost.native_stderr.hide_native_stderr": STREAM,
    "depth.exits.stage_files._write_thresholds": GIVEN,
    "export.compact_file.compact_file": GIVEN,
    "export.converter_process.__init__": TASK,
    "export.converter_program._write": TASK,
    "export.converter_program.main": STREAM,
    "export.converter_program.run_job": GIVEN,
    "export.converter_program.save_samples": TASK,
    "export.litert_writer.write": GIVEN,
    "export.low_bit_quantizer.write_low_bits": GIVEN,
    "export.micro.micro_program.main": TASK,
    "export.micro.run_file._start": TASK,
    "export.micro.run_file._write_job": TASK,
    "export.portable_model.save_portable": TASK,
    "export.torch_converter._write_float": TASK,
    "export.torch_converter.convert_torch_model": GIVEN,
    "export.unverified_file._compact": GIVEN,
    "export.unverified_file.write_quickly": GIVEN,
    "export.write_verified._write_frozen": GIVEN,
    "export.write_web_page._write": GIVEN,
    "files.put_in_place": "puts the partial file in place",
    "progressive.network_file._save_model": GIVEN,
    "progressive.transfer_arms.__init__": OWN,
    "search.morphism.child_files.save_parent": OWN,
    "search.morphism.child_maker.make": OWN,
    "search.morphism.morphism_run._train": OWN,
    "search.project_lock._create": LOCK,
    "search.project_lock._remove": LOCK,
    "search.reports.search_reports.plots": OWN,
    "search.running.isolated_worker.run": TASK,
    "tf_keras_bridge.twin_litert._write_saved_model": GIVEN,
    "training.backup_folder._set_aside": RENAMED,
}


def parse():
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            parts = parts[1:] if folder == "keras_netopt" else parts
            yield ".".join(parts), ast.parse(path.read_text(encoding="utf-8"))


def dotted(node):
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return getattr(node, "id", "?")


def written_path(call):
    """Returns the path that a call writes to, `None` if it writes none."""
    name = dotted(call.func)
    last = name.rpartition(".")[2]
    if last in ("open", "fdopen", "ZipFile", "File"):
        mode = argument(call, 1, "mode")
        if isinstance(call.func, ast.Attribute) and last == "open":
            path, mode = call.func.value, argument(call, 0, "mode")
        else:
            path = argument(call, 0, "file")
        if set(str(getattr(mode, "value", ""))) & set("wax+"):
            return path
        return None
    if name in WRITERS:
        return argument(call, WRITERS[name], "dst")
    if isinstance(call.func, ast.Attribute) and last in METHODS:
        place = METHODS[last]
        if place is None:
            return call.func.value
        return argument(call, place, "path")
    return None


def argument(call, place, name):
    if len(call.args) > place:
        return call.args[place]
    return next((k.value for k in call.keywords if k.arg == name), None)


def names_in(node):
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def safe_names(function):
    """Names of partial files and temporary folders, and what is made of them.

    Among them are open files and archives of such a name.
    """
    found = set()
    for _ in range(3):
        for one in ast.walk(function):
            if isinstance(one, ast.withitem) and one.optional_vars is not None:
                opener = one.context_expr
                is_safe = any(
                    dotted(call.func).rpartition(".")[2] in OPENERS
                    for call in ast.walk(opener)
                    if isinstance(call, ast.Call)
                )
                if is_safe or names_in(opener) & found:
                    found |= names_in(one.optional_vars)
            elif isinstance(one, ast.Assign):
                calls = {
                    dotted(call.func).rpartition(".")[2]
                    for call in ast.walk(one.value)
                    if isinstance(call, ast.Call)
                }
                made = {"join", "Path", "BytesIO"} & calls and (
                    names_in(one.value) & found or "BytesIO" in calls
                )
                if calls & OPENERS or made:
                    for target in one.targets:
                        found |= names_in(target)
    return found - {"self"}


def functions(tree):
    """Yields functions and methods; nested ones belong to the outer one."""
    for one in ast.iter_child_nodes(tree):
        if isinstance(one, ast.FunctionDef):
            yield one
        elif isinstance(one, ast.ClassDef):
            yield from functions(one)


def unsafe_writes():
    found = {}
    for module, tree in parse():
        for function in functions(tree):
            safe = safe_names(function)
            for call in ast.walk(function):
                path = isinstance(call, ast.Call) and written_path(call)
                if path and not names_in(path) & safe:
                    key = f"{module}.{function.name}"
                    line = f"line {call.lineno}: {ast.unparse(call)}"
                    found.setdefault(key, []).append(line)
    return found


def test_every_file_is_written_aside():
    found = unsafe_writes()
    new = {name: lines for name, lines in found.items() if name not in ALLOWED}
    assert new == {}, "write these files by `keras_netopt.files.write_aside`"
    assert sorted(ALLOWED.keys() - found.keys()) == []


@pytest.mark.parametrize(
    "code",
    [
        "def f(p):\n with open(p, 'w') as g: g.write('')",
        "def f(p):\n with p.open(mode='xb') as g: g.write('')",
        "def f(p):\n Path(p).write_text('')",
        "def f(p, a):\n np.savez(p, a)",
        "def f(p, m):\n m.save_weights(p)",
        "def f(p, m):\n m.save(filepath=p, path=p)",
        "def f(p):\n zipfile.ZipFile(p, 'a')",
        "def f(p, q):\n with write_aside(q) as r: os.replace(r, p)",
        "class C:\n def f(self):\n  self.d = TemporaryDirectory()\n"
        "  open(self.p, 'w')",
    ],
)
def test_a_bare_write_is_found(code, monkeypatch):
    trees = [("module", ast.parse(code))]
    monkeypatch.setitem(globals(), "parse", lambda: trees)
    assert list(unsafe_writes()) == ["module.f"]


@pytest.mark.parametrize(
    "code",
    [
        "def f(p):\n with open(p) as g: g.read()",
        "def f(p):\n with write_aside(p) as q, open(q, 'w') as g: pass",
        "def f(p, m):\n with write_aside(p) as q: m.save(q)",
        "def f(m):\n with TemporaryDirectory() as d:\n"
        "  p = os.path.join(d, 'a')\n  m.save_weights(p)",
        "def f(a):\n b = io.BytesIO()\n np.save(b, a)",
    ],
)
def test_a_safe_write_is_not(code, monkeypatch):
    trees = [("module", ast.parse(code))]
    monkeypatch.setitem(globals(), "parse", lambda: trees)
    assert unsafe_writes() == {}
