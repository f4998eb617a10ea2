"""Code in a model's folder never runs, and nothing asks to run it, even on a terminal; a model that needs it fails."""

import ast
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import distill_dagster
from distill_dagster.config import ModelConfig
from distill_dagster.errors import ModelError
from distill_dagster.models.loading import open_model, open_tokenizer
from distill_dagster.models.pinning import pin
from distill_dagster.training.prepare import prepare_model
from distill_dagster.training.specs import PrepareSpec
from testing.models_tiny import write_model

pytestmark = pytest.mark.processes

ROOT = Path(distill_dagster.__file__).parent
CODE = """
from pathlib import Path
Path({marker!r}).write_text("was run")
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
class MineConfig(LlamaConfig):
    model_type = "mine"
class MineModel(LlamaForCausalLM):
    config_class = MineConfig
class MineTokenizer(PreTrainedTokenizerFast):
    pass
"""
MODEL = {"AutoConfig": "mine.MineConfig", "AutoModelForCausalLM": "mine.MineModel"}
TOKENIZER = {"AutoTokenizer": ["mine.MineTokenizer", "mine.MineTokenizer"]}
OWN_CODE = {
    "config": ("config.json", {"model_type": "mine", "auto_map": MODEL}),
    "tokenizer": ("tokenizer_config.json", {"tokenizer_class": "MineTokenizer", "auto_map": TOKENIZER}),
}

EVERY_WAY = """
import sys
from pathlib import Path
from distill_dagster.config import ModelConfig
from distill_dagster.errors import ModelError
from distill_dagster.evaluation.speed.engines import warm_libraries
from distill_dagster.evaluation.speed.specs import TimedModel
from distill_dagster.models.loading import load, open_model, open_tokenizer, stored_dtype
from distill_dagster.models.pinning import pin
from distill_dagster.models.ref import ModelRef
folder = Path(sys.argv[1])
ref = ModelRef(path=str(folder), name="a", revision="b", parameters=1)
for way in (
    lambda: pin(ModelConfig(name=str(folder))),
    lambda: load(ref, "cpu"),
    lambda: open_tokenizer(folder),
    lambda: open_model(folder, "float32"),
    lambda: stored_dtype(folder),
    lambda: warm_libraries(TimedModel(name="student", model=ref)),
):
    try:
        way()
        print("no error")
    except ModelError as e:
        print("ModelError:", e)
print("the end")
"""


def change(path: Path, **entries) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def write_own_code(folder: Path, kind: str) -> Path:
    """A model whose config or tokenizer names its own code; returns the file that the code writes when it runs."""
    write_model(folder)
    marker = folder.parent / "marker"
    (folder / "mine.py").write_text(CODE.format(marker=str(marker)))
    file, entries = OWN_CODE[kind]
    change(folder / file, **entries)
    return marker


def on_a_terminal(command: list[str], answers: str, env: dict[str, str]) -> str:
    """What a process prints on its own terminal, where somebody has typed these answers."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True)
    os.close(theirs)
    os.write(ours, answers.encode())
    said = b""
    try:
        while part := os.read(ours, 4096):
            said += part
    except OSError:  # Linux: the last process has closed its end
        pass
    os.close(ours)
    process.wait()
    return said.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("kind", OWN_CODE)
def test_nothing_is_asked_on_a_terminal_and_nothing_is_run(tmp_path, kind):
    marker = write_own_code(tmp_path / "model", kind)
    env = {**os.environ, "PYTHONPATH": str(ROOT.parent), "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    said = on_a_terminal([sys.executable, "-c", EVERY_WAY, str(tmp_path / "model")], "y\n" * 12, env)
    assert "the end" in said
    assert "y/N" not in said
    assert not marker.exists()
    pinned, loaded = [line for line in said.splitlines() if line.startswith(("ModelError", "no error"))][:2]
    assert f"wants to run its own code (`auto_map` in {OWN_CODE[kind][0]})" in pinned
    assert "distill-dagster never runs a model's code: convert the model" in pinned
    assert "ModelError: " in loaded
    assert "wants to run its own code, and distill-dagster never runs" in loaded


def test_what_loads_after_pinning_says_the_same(tmp_path):
    write_own_code(tmp_path / "a", "tokenizer")
    with pytest.raises(ModelError, match="wants to run its own code"):
        open_tokenizer(tmp_path / "a")
    write_own_code(tmp_path / "b", "config")
    with pytest.raises(ModelError, match="wants to run its own code"):
        open_model(tmp_path / "b", "float32")


def test_code_that_is_not_needed_is_left_alone(tmp_path):
    marker = write_own_code(tmp_path / "model", "config")
    change(tmp_path / "model" / "config.json", model_type="llama")
    change(tmp_path / "model" / "tokenizer_config.json", auto_map=TOKENIZER, tokenizer_class="PreTrainedTokenizerFast")
    assert pin(ModelConfig(name=str(tmp_path / "model"))).parameters
    assert type(open_model(tmp_path / "model", "float32")).__module__.startswith("transformers.models.llama")
    assert open_tokenizer(tmp_path / "model")("door")["input_ids"]
    assert not marker.exists()


@pytest.mark.parametrize("kind", OWN_CODE)
@pytest.mark.parametrize("role", ["teacher", "student"])
def test_a_teacher_and_a_student_are_refused_when_they_are_pinned(tmp_path, kind, role):
    write_own_code(tmp_path / "model", kind)
    folders = {"out": str(tmp_path), "work": str(tmp_path)}
    with pytest.raises(ModelError, match="wants to run its own code"):
        prepare_model(PrepareSpec(role=role, model=ModelConfig(name=str(tmp_path / "model")), **folders), "cpu")


LOADS = {"from_pretrained", "from_config", "pipeline"}


def unguarded(source: str) -> tuple[int, list[int]]:
    """How often a source loads something, and the lines that do so without `trust_remote_code=False`."""
    tree = ast.parse(source)
    guarded = {
        id(node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "trust_remote_code"
        and isinstance(keyword.value, ast.Constant)
        and keyword.value.value is False
    }
    loads = [
        node
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in LOADS) or (isinstance(node, ast.Name) and node.id in LOADS)
    ]
    return len(loads), sorted(node.lineno for node in loads if id(node) not in guarded)


def test_every_load_says_that_remote_code_is_not_trusted():
    assert unguarded("AutoConfig.from_pretrained(a)\nm.from_config(c, trust_remote_code=True)\nf = A.from_config") == (
        3,
        [1, 2, 3],
    )
    folders = (ROOT, ROOT.parent / "assets", ROOT.parent / "resources")
    found = {path: unguarded(path.read_text()) for folder in folders for path in folder.rglob("*.py")}
    assert sum(count for count, _ in found.values()) >= 6
    assert {str(path): lines for path, (_, lines) in found.items() if lines} == {}
