"""What is read of a file, and the C array of its bytes."""

import shutil
import subprocess

import numpy as np
import pytest
from litert_by_hand import write_dense

from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.export import evaluate, inspect_file, to_c_array

KERNEL = np.arange(12.0).reshape(4, 3) / 7


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    return write_dense(folder / "model.tflite", KERNEL, [1.0, 2.0, 3.0])


def test_a_file_is_read_without_being_run(path):
    report = inspect_file(path)
    lite = TfliteModel(path)
    assert report.inputs == tuple(lite.inputs.values())
    assert report.outputs == tuple(lite.outputs.values())
    assert report.ops == {"FULLY_CONNECTED": 1}
    assert report.size.raw == path.stat().st_size == report.breakdown.total
    assert report.breakdown.weights == 60
    (weights,) = report.weights
    assert (weights.dtype, weights.tensors) == ("float32", 2)
    assert (weights.elements, weights.bytes) == (15, 60)
    assert report.signature == "serving_default"
    assert report.to_dict()["inputs"][0]["shape"] == [None, 4]
    text = str(report)
    for part in ("x float32[?,4]", "output_0 float32[?,3]", "FULLY_CONNECTED"):
        assert part in text


def test_the_file_by_hand_runs(path):
    x = np.random.default_rng(0).random((5, 4), "float32")
    found = TfliteModel(path).run(x)["output_0"]
    y = (x @ KERNEL + [1, 2, 3]).argmax(-1)
    np.testing.assert_allclose(found, x @ KERNEL + [1, 2, 3], rtol=1e-5)
    assert evaluate(path, x, y).accuracy == 1.0


def test_a_truncated_file_is_refused(path, tmp_path):
    content = path.read_bytes()
    broken = tmp_path / "broken.tflite"
    for end in (0, 6, 20, len(content) // 2, len(content) - 20):
        broken.write_bytes(content[:end])
        with pytest.raises(ValueError, match="Argument `path`"):
            inspect_file(broken)
    with pytest.raises(TypeError, match="Argument `path`"):
        inspect_file(3)


def compilers():
    found = []
    for name, flags, ending in (
        ("cc", ["-std=c99", "-Wall", "-Werror"], "c"),
        ("cc", ["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic"], "c"),
        ("c++", ["-std=c++11", "-Wall", "-Wextra", "-Werror"], "cc"),
    ):
        if shutil.which(name):
            found.append(pytest.param(name, flags, ending, id=flags[0]))
    reason = "no compiler"
    return found or [pytest.param("", [], "", marks=pytest.mark.skip(reason))]


@pytest.mark.parametrize("compiler, flags, ending", compilers())
def test_the_array_compiles_to_the_bytes(
    path, tmp_path, compiler, flags, ending
):
    assert to_c_array(path, tmp_path / "my-model.h") == "my_model"
    source = tmp_path / f"main.{ending}"
    source.write_text(
        '#include <stdio.h>\n#include "my-model.h"\n#include "my-model.h"\n'
        "int main(void) {\n"
        "  if ((unsigned long)my_model % 16) return 1;\n"
        "  if (sizeof(my_model) != my_model_len) return 2;\n"
        "  return fwrite(my_model, 1, my_model_len, stdout) != my_model_len;\n"
        "}\n"
    )
    program = tmp_path / "program"
    subprocess.run([compiler, *flags, source, "-o", program], check=True)
    found = subprocess.run([program], check=True, capture_output=True)
    assert found.stdout == path.read_bytes()


def test_the_array_has_a_valid_name(path, tmp_path):
    for file, name in (
        ("a.b.h", "a_b"),
        ("8bit.h", "model_8bit"),
        ("float.h", "model_float"),
        ("größe.hpp", "gr__e"),
    ):
        assert to_c_array(path, tmp_path / file) == name
    assert to_c_array(path, tmp_path / "m.h", name="g_model") == "g_model"
    assert "unsigned char g_model[" in (tmp_path / "m.h").read_text()
    for bad in ("a b", "1", "int", "", "a\n", "ä"):
        with pytest.raises(ValueError, match="identifier in C"):
            to_c_array(path, tmp_path / "n.h", name=bad)
    with pytest.raises(TypeError, match="Argument `name`"):
        to_c_array(path, tmp_path / "n.h", name=1)
    assert not (tmp_path / "n.h").exists()


def test_an_existing_header_is_kept(path, tmp_path):
    target = tmp_path / "m.h"
    target.write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        to_c_array(path, target)
    assert target.read_text() == "mine"
    to_c_array(path, target, overwrite=True)
    assert "m_len" in target.read_text()
    assert [one.name for one in tmp_path.iterdir()] == ["m.h"]


def test_arguments_of_another_kind(path, tmp_path):
    with pytest.raises(ValueError, match="must end in"):
        to_c_array(path, tmp_path / "m.c")
    with pytest.raises(TypeError, match="Argument `target`"):
        to_c_array(path, None)
    with pytest.raises(TypeError, match="overwrite"):
        to_c_array(path, tmp_path / "m.h", overwrite=1)
    other = tmp_path / "other.tflite"
    other.write_bytes(b"no model")
    with pytest.raises(ValueError, match="must be a LiteRT"):
        to_c_array(other, tmp_path / "m.h")
