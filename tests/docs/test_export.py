"""The scripts of docs/export.md are those that `where` prints, and they run on real exports."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from distill_dagster.models.fitness import open_parts
from distill_dagster.release.export.formats import GGUF_FILE
from distill_dagster.release.export.gguf_vocabulary import template_of
from distill_dagster.release.export.onnx_folder import build_onnx
from distill_dagster.release.export.snippets import QUESTION, script
from testing.dev_server import environment
from testing.exports_tiny import export_gguf, teach, write_kind
from testing.models_tiny import rows

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
FOLDERS = {"transformers": "store/student", "gguf": "store/exports/gguf_q8_0", "onnx": "store/exports/onnx_int8"}
MOST_LINES = 10


def scripts() -> dict[str, str]:
    return dict(zip(FOLDERS, re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL), strict=True))


def test_the_page_shows_what_where_prints():
    assert scripts() == {kind: script(kind, folder) for kind, folder in FOLDERS.items()}
    assert all(len(text.replace("\n\n", "\n").splitlines()) <= MOST_LINES for text in scripts().values())


@pytest.mark.processes
def test_every_script_prints_the_answer(tmp_path):
    model = tmp_path / "store" / "student"
    write_kind("tied", model, intermediate_size=128)
    teach(model)
    parts = open_parts(model, None)
    gguf, onnx = (tmp_path / FOLDERS[kind] for kind in ("gguf", "onnx"))
    gguf.mkdir(parents=True)
    onnx.mkdir(parents=True)
    export_gguf(parts, model, gguf / GGUF_FILE, "q8_0")
    how = {"precision": "int8", "max_length": 200, "work": tmp_path}
    build_onnx(model, template_of(parts.tokenizer), parts.ends, onnx, **how)
    (asked,), answer = rows(1)[0]["messages"], rows(1)[0]["reference"][0]
    for kind, text in scripts().items():
        own = text.replace(QUESTION, asked["content"]).replace("2048", "256")
        command = [sys.executable, "-c", own]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment(), check=False)
        assert done.returncode == 0, (kind, done.stderr)
        assert done.stdout.splitlines()[-1] == answer, kind
