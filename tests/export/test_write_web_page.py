"""The page that runs a file in the browser, without a browser."""

import base64
import json
import re

import numpy as np
import pytest
from litert_by_hand import write_dense

from keras_netopt.export import ExportError, write_web_page
from keras_netopt.export.write_web_page import MODEL, PAGE, SAMPLES

pytestmark = pytest.mark.no_backend
KERNEL = np.arange(12.0).reshape(4, 3) / 7
X = np.random.default_rng(0).random((5, 4), "float32")


@pytest.fixture
def path(tmp_path):
    return write_dense(tmp_path / "net.tflite", KERNEL, [1, 2, 3], 1)


def unpack(packed):
    data = base64.b64decode(packed["data"])
    return np.frombuffer(data, packed["dtype"]).reshape(packed["shape"])


def test_the_folder_holds_the_file_and_what_it_computes(path, tmp_path):
    page = write_web_page(path, tmp_path / "page", X, y=np.arange(5) % 3)
    folder = tmp_path / "page"
    assert page == str(folder / "index.html")
    names = {one.name for one in folder.iterdir()}
    assert names == {*PAGE, MODEL, SAMPLES}
    assert (folder / MODEL).read_bytes() == path.read_bytes()
    content = json.loads((folder / SAMPLES).read_text())
    np.testing.assert_array_equal(unpack(content["inputs"]["x"]), X)
    found = unpack(content["outputs"]["output_0"])
    np.testing.assert_allclose(found, X @ KERNEL + [1, 2, 3], rtol=1e-5)
    assert content["count"] == 5 and content["file"] == "net.tflite"
    assert content["labels"] == [0, 1, 2, 0, 1]
    assert content["classes"]["output"] == "output_0"
    assert content["classes"]["probabilities"] is False
    assert content["image"] is None and content["class_names"] is None


def test_the_page_reads_what_is_written(path, tmp_path):
    """Names in the page that are no key of the JSON would be undefined."""
    write_web_page(path, tmp_path / "page", X)
    content = json.loads((tmp_path / "page" / SAMPLES).read_text())
    text = (tmp_path / "page" / "index.html").read_text()
    used = set(re.findall(r"\bcontent\.(\w+)", text))
    (listed,) = re.findall(r"const \{([^}]*)\} = content;", text)
    used |= set(re.findall(r"(\w+)(?::|,|$)", listed)) - {"names"}
    assert used >= {"inputs", "outputs", "count", "labels", "classes"}
    assert used <= set(content)
    assert set(re.findall(r"\bclasses\??\.(\w+)", text)) == set(
        content["classes"]
    )
    script = (tmp_path / "page" / "run_file.js").read_text()
    imported = re.findall(r"const \{([^}]*)\} = await import", text)[0]
    exported = set(re.findall(r"export (?:async )?\w+ (\w+)", script))
    assert set(re.findall(r"\w+", imported)) <= exported
    assert not re.search(r"https?://(?!localhost)", text + script)


def test_integers_and_probabilities_are_described(tmp_path):
    """Quantized outputs that sum to 1 within their steps."""
    path = tmp_path / "net.tflite"
    write_dense(path, np.eye(4), [0] * 4, 1)
    x = np.eye(4, dtype="float32")
    write_web_page(path, tmp_path / "page", x, class_names="abcd")
    content = json.loads((tmp_path / "page" / SAMPLES).read_text())
    assert content["classes"]["probabilities"] is True
    assert content["class_names"] == list("abcd")
    assert content["labels"] is None


def test_files_that_the_runtime_refuses_are_refused(tmp_path):
    free = write_dense(tmp_path / "free.tflite", KERNEL, [1, 2, 3])
    with pytest.raises(ExportError, match="has free axes"):
        write_web_page(free, tmp_path / "page", X)
    four = write_dense(tmp_path / "four.tflite", KERNEL, [1, 2, 3], 4)
    with pytest.raises(ValueError, match="with a batch of 1"):
        write_web_page(four, tmp_path / "page", X)
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"0123TFL3")
    with pytest.raises(ValueError, match="Argument `path` must be a LiteRT"):
        write_web_page(broken, tmp_path / "page", X)
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"x": X[:, :3]}, "Argument `x` must have shape"),
        ({"x": X[:0]}, "Argument `x` must hold 1 to 200 samples"),
        ({"x": np.zeros((201, 4))}, "Argument `x` must hold 1 to 200 samples"),
        ({"x": X * np.nan}, "Argument `x` must be free of NaN"),
        ({"y": [0, 1, 2, 3, 0]}, "Argument `y` must hold 5 class numbers"),
        ({"y": [0, 1]}, "Argument `y` must hold 5 class numbers"),
        ({"class_names": "ab"}, "Argument `class_names` must hold 3 names"),
    ],
)
def test_bad_samples_are_refused(path, tmp_path, change, message):
    arguments = {"x": X, **change}
    with pytest.raises(ValueError, match=message):
        write_web_page(path, tmp_path / "page", **arguments)
    assert [one.name for one in tmp_path.iterdir()] == ["net.tflite"]


def test_a_page_in_a_missing_folder_names_it(path, tmp_path):
    with pytest.raises(FileNotFoundError, match="Create '.*none' first"):
        write_web_page(path, tmp_path / "none" / "page", X[:1])
    assert not (tmp_path / "none").exists()


def test_a_page_is_not_replaced_unasked(path, tmp_path):
    write_web_page(path, tmp_path / "page", X)
    kept = tmp_path / "page" / "node_modules"
    kept.mkdir()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_web_page(path, tmp_path / "page", X[:1])
    write_web_page(path, tmp_path / "page", X[:1], overwrite=True)
    content = json.loads((tmp_path / "page" / SAMPLES).read_text())
    assert content["count"] == 1 and kept.is_dir()


def test_an_output_without_classes_has_no_labels(path, tmp_path):
    write_dense(path, np.ones((4, 1)), [0], 1)
    with pytest.raises(ValueError, match="Argument `y` must be None"):
        write_web_page(path, tmp_path / "page", X, y=[0] * 5)
    write_web_page(path, tmp_path / "page", X)
    content = json.loads((tmp_path / "page" / SAMPLES).read_text())
    assert content["classes"] is None and content["first"] == "output_0"
