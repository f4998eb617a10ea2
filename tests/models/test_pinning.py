"""A revision follows the files, weights are safetensors, and the error for a missing model says what to do."""

import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from distill_dagster.config import ModelConfig
from distill_dagster.errors import ModelError
from distill_dagster.models.loading import open_model
from distill_dagster.models.pinning import bytes_on_disk, count_parameters, pin
from testing.models_tiny import write_model


@pytest.fixture
def folder(tmp_path):
    write_model(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_a_folder_is_pinned_by_what_is_read_from_it(folder):
    first = pin(ModelConfig(name=str(folder)))
    (folder / "README.md").write_text("a card is not part of the model")
    assert pin(ModelConfig(name=str(folder))) == first
    config = folder / "generation_config.json"
    config.write_text(config.read_text() + " ")
    assert pin(ModelConfig(name=str(folder))).revision != first.revision


def test_parameters_are_counted_without_loading(folder):
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", "pt") as f:
        expected = sum(f.get_tensor(key).numel() for key in f.keys())  # noqa: SIM118 (not a dict)
    assert count_parameters(folder) == expected > 10_000


def test_a_pin_that_the_files_do_not_match_is_refused(folder):
    with pytest.raises(ModelError, match="pinned to revision abc and its files hash to"):
        pin(ModelConfig(name=str(folder), revision="abc"))


def test_pickled_weights_are_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pickled weights \(pytorch_model.bin\)"):
        pin(ModelConfig(name=str(folder)))


@pytest.mark.parametrize("keep", [4, 5_000])
def test_torn_weights_are_refused(folder, keep):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"torn|not a safetensors file"):
        pin(ModelConfig(name=str(folder)))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelError, match="nowhere does not exist"):
        pin(ModelConfig(name=str(tmp_path / "nowhere")))


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"no config\.json"):
        pin(ModelConfig(name=str(tmp_path)))


def shard(folder) -> dict[str, Path]:
    """Split model.safetensors into two files and an index, and keep it whole as Mistral does, under another name."""
    from safetensors.torch import load_file, save_file

    whole = folder / "model.safetensors"
    tensors = load_file(whole)
    names = sorted(tensors)
    weight_map = {key: f"model-0000{1 + (i % 2)}-of-00002.safetensors" for i, key in enumerate(names)}
    for file in set(weight_map.values()):
        save_file({key: tensors[key] for key in names if weight_map[key] == file}, folder / file, {"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return {"whole": whole.rename(folder / "consolidated.safetensors"), "part": folder / weight_map[names[0]]}


def test_weights_that_are_there_twice_count_once(folder):
    parameters, size = count_parameters(folder), bytes_on_disk(folder)
    other = shutil.copy(folder / "model.safetensors", folder / "other.safetensors")
    assert (count_parameters(folder), bytes_on_disk(folder)) == (parameters, size), "one file is what is loaded"
    os.unlink(other)
    weights = shard(folder)
    revision = pin(ModelConfig(name=str(folder))).revision
    assert count_parameters(folder) == parameters
    assert size < bytes_on_disk(folder) < size + 10_000, "headers and the index"
    assert open_model(folder, "float32").num_parameters() == parameters
    weights["whole"].unlink()
    assert pin(ModelConfig(name=str(folder))).revision == revision


def test_the_weights_that_are_counted_are_those_that_are_loaded(folder):
    parameters = count_parameters(folder)
    weights = shard(folder)
    torn = folder / "model.safetensors"
    torn.write_bytes(b"torn")  # beside an index, transformers still takes it
    with pytest.raises(ModelError, match=r"/model\.safetensors is not a safetensors file"):
        open_model(folder, "float32")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "transformers_weights": weights["whole"].name}))
    assert count_parameters(folder) == open_model(folder, "float32").num_parameters() == parameters


def test_a_missing_part_of_the_weights_is_named(folder):
    part = shard(folder)["part"]
    part.unlink()
    with pytest.raises(ModelError, match=rf"lacks 1 of 2 weight files, such as {part.name}"):
        pin(ModelConfig(name=str(folder)))


@pytest.mark.parametrize("index", ["{", "[]", "{}", '{"weight_map": {"a": 1}}'])
def test_a_broken_index_is_named(folder, index):
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(ModelError, match=r"model\.safetensors\.index\.json (cannot be read|does not say)"):
        pin(ModelConfig(name=str(folder)))


PIN = """
from distill_dagster.config import ModelConfig
from distill_dagster.errors import ModelError
from distill_dagster.models.pinning import pin
try:
    print(pin(ModelConfig(name="maker/tiny")).model_dump_json())
except ModelError as e:
    print("ModelError", e)
"""
CHECK = """
from distill_dagster.config import ModelConfig
from distill_dagster.models.fitness import Use, problems
print(problems(ModelConfig(name="maker/tiny"), Use(trains=True)))
"""
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _pin(cache, script=PIN, **environment) -> str:
    """What pinning maker/tiny prints in another process, because the hub's address and cache are read once."""
    env = {**os.environ, "HF_HUB_CACHE": str(cache), **environment}
    return subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True).stdout


@pytest.mark.processes
def test_a_hub_name_is_found_in_the_local_cache_or_says_the_way_out(tmp_path):
    cache = tmp_path / "hub"
    assert _pin(cache, HF_HUB_OFFLINE="1").startswith("ModelError model 'maker/tiny' (revision newest)")
    repository = cache / "models--maker--tiny"
    write_model(repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    assert f'"revision":"{COMMIT}"' in _pin(cache, HF_HUB_OFFLINE="1")


class Hub(ThreadingHTTPServer):
    """A hub with one model, whose files are in a folder. `sent` holds the names of the files that were fetched."""

    def __init__(self, folder) -> None:
        self.folder, self.sent = folder, set()
        super().__init__(("127.0.0.1", 0), HubHandler)


class HubHandler(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self._answer(is_head=True)

    def do_GET(self) -> None:
        self._answer(is_head=False)

    def _answer(self, is_head: bool) -> None:
        folder, (path, _, _) = self.server.folder, self.path.partition("?")
        if path == "/api/models/maker/tiny/revision/main":
            body = json.dumps({"id": "maker/tiny", "sha": COMMIT, "siblings": []}).encode()
        elif path == f"/api/models/maker/tiny/tree/{COMMIT}":
            files = [(p.name, p.stat().st_size) for p in folder.iterdir()]
            body = json.dumps([{"type": "file", "path": n, "size": size, "oid": n} for n, size in files]).encode()
        else:
            name = path.removeprefix(f"/maker/tiny/resolve/{COMMIT}/")
            body = (folder / name).read_bytes()
            self.server.sent.add(name)
        self.send_response(200)
        headers = {"ETag": f'"{Path(path).name}"', "X-Repo-Commit": COMMIT, "Content-Length": str(len(body))}
        for header, value in headers.items():
            self.send_header(header, value)
        self.end_headers()
        if not is_head:
            self.wfile.write(body)

    def log_message(self, *_) -> None:
        """Log nothing."""


@pytest.mark.processes
def test_of_the_weights_on_the_hub_only_those_that_are_loaded_are_fetched(folder, tmp_path):
    parameters, weights = count_parameters(folder), shard(folder)
    with Hub(folder) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        said = _pin(tmp_path / "cache", HF_ENDPOINT=f"http://127.0.0.1:{hub.server_port}", HF_HUB_DISABLE_XET="1")
        hub.shutdown()
    assert f'"revision":"{COMMIT}"' in said
    assert f'"parameters":{parameters}' in said
    assert weights["whole"].name not in hub.sent
    assert {weights["part"].name, "config.json", "tokenizer.json"} < hub.sent


@pytest.mark.processes
def test_a_model_on_the_hub_is_checked_without_its_weights(folder, tmp_path):
    with Hub(folder) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        where = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_HUB_DISABLE_XET": "1"}
        sound = _pin(tmp_path / "one", CHECK, **where)
        (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "maker/base"}')
        adapter = _pin(tmp_path / "two", CHECK, **where)
        hub.shutdown()
    assert sound == "[]\n"
    assert "holds an adapter of maker/base and not a model" in adapter
    assert "tokenizer.json" in hub.sent
    assert not any(name.endswith(".safetensors") for name in hub.sent)
