"""Pins a model: turns its name in the config into a folder and a revision of the files there.

The revision of a local folder is a hash of the files that are read from it. That of a model on the Hugging Face hub is
the commit that `main`, or the configured `revision`, points to:

    name: /models/llama-3.2-1b    -> path /models/llama-3.2-1b, revision 5f1c… (sha256 over names and contents)
    name: Qwen/Qwen2.5-0.5B       -> path ~/.cache/huggingface/…/snapshots/060db64…, revision 060db64…

Weights are read from safetensors alone, because a pickled `pytorch_model.bin` runs code when it is opened. If a folder
holds several sets of weights, only the set that transformers loads is counted, hashed and fetched:

    model.safetensors.index.json          {"weight_map": {"lm_head.weight": "model-00002-of-00002.safetensors", …}}
    model-0000{1,2}-of-00002.safetensors  the weights
    consolidated.safetensors              the same weights for another program: ignored
"""

import json
import math
import os
from datetime import date
from pathlib import Path
from typing import Any

from distill_dagster.config import ModelConfig
from distill_dagster.errors import ModelError
from distill_dagster.models.dates import mentions_date
from distill_dagster.models.entries import entry
from distill_dagster.models.gguf_file import gguf_of
from distill_dagster.models.own_code import refuse_own_code
from distill_dagster.models.quiet import quietly
from distill_dagster.models.ref import ModelRef
from distill_dagster.store.disk import file_sha256
from distill_dagster.store.hashing import sha256

WEIGHTS, INDEX, ANY_WEIGHTS = "model.safetensors", "model.safetensors.index.json", "*.safetensors"
BESIDE_WEIGHTS = [  # a revision covers these and the weights; nothing else is fetched from the hub
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab*",
    "merges.txt",
    "*.jinja",
]
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def pin(model: ModelConfig, prompt_date: date | None = None) -> ModelRef:
    """Resolve an existing model: hash a folder, or fetch a hub model (unless the local cache has it).

    The ref holds `prompt_date` only if the model's chat template writes a date.

    Raises:
        ModelError: it does not exist, is not of the configured revision, has no safetensors weights, or needs its own
            code.
    """
    assert model.name is not None, "a model made from an architecture is built, not pinned"
    ref = _pin(model, model.name)
    return ref.model_copy(update={"prompt_date": prompt_date}) if mentions_date(Path(ref.path)) else ref


def _pin(model: ModelConfig, name: str) -> ModelRef:
    if file := gguf_of(name):
        raise ModelError(
            f"{file} is a GGUF file, which only `teacher.model` and `student.model` can name: set `model.name` to the "
            "folder or the hub's name of the model that it was made from"
        )
    folder = Path(name).expanduser()
    if folder.is_dir():
        return pin_folder(folder, name=folder.name, dtype=model.dtype, revision=model.revision)
    if folder.is_absolute() or name.startswith("."):
        raise ModelError(f"model folder {folder} does not exist; correct `model.name`, or name a model on the hub")
    path = _fetch(name, model.revision)
    refuse_own_code(path)
    return ModelRef(path=str(path), name=name, revision=path.name, dtype=model.dtype, parameters=count_parameters(path))


def pin_folder(folder: Path, *, name: str, dtype: str = "auto", revision: str | None = None) -> ModelRef:
    """Pin a model's folder by its contents.

    Raises:
        ModelError: it holds no model or only pickled weights, its files are not those of `revision`, or it needs its
            own code.
    """
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} holds no config.json: name the folder that `save_pretrained` wrote")
    refuse_own_code(folder)
    parameters = count_parameters(folder)
    found = folder_revision(folder)
    if revision is not None and revision != found:
        raise ModelError(
            f"{folder} is pinned to revision {revision} and its files hash to {found}: remove `revision` to use "
            "the files as they are, or restore the pinned ones"
        )
    return ModelRef(path=str(folder.resolve()), name=name, revision=found, dtype=dtype, parameters=parameters)


def folder_revision(folder: Path) -> str:
    """Hex SHA-256 over the names and hashes of the files that a model is read from."""
    return sha256("".join(f"{os.path.relpath(p, folder)} {file_sha256(p)}\n" for p in model_files(folder)))


def model_files(folder: Path) -> list[Path]:
    """The files that a model is read from, sorted: weights, config, tokenizer, chat template.

    Raises:
        ModelError: some of the weights are missing.
    """
    beside = {p for pattern in BESIDE_WEIGHTS for p in folder.glob(pattern) if p.is_file()}
    return sorted(beside.union(_weight_files(folder)))


def bytes_on_disk(folder: Path) -> int:
    """Bytes of the files that the model is read from: weights, config, tokenizer, chat template."""
    return sum(path.stat().st_size for path in model_files(folder))


def _weight_files(folder: Path) -> list[Path]:
    """The safetensors files that a model is loaded from, perhaps none."""
    names = _weight_names(folder)
    if names == [ANY_WEIGHTS]:
        return sorted(p for p in folder.glob(ANY_WEIGHTS) if p.is_file())
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            f"{folder} lacks {len(missing)} of {len(names)} weight files, such as {missing[0]}; fetch or save the "
            "model again"
        )
    return [folder / name for name in names]


def _weight_names(folder: Path) -> list[str]:
    """Names of the files that hold the weights, or one pattern if the folder does not say.

    The order is that of `transformers.modeling_utils._get_resolved_checkpoint_files`: the file that the config names, a
    single file, an index.
    """
    chosen = entry(folder / "config.json", "transformers_weights")
    name = chosen or next((name for name in (WEIGHTS, INDEX) if (folder / name).is_file()), ANY_WEIGHTS)
    if not name.endswith(".index.json"):
        return [name]
    weight_map = entry(folder / name, "weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(file, str) for file in weight_map.values()):
        raise ModelError(f"{folder / name} does not say which file each weight is in; fetch or save the model again")
    return sorted(set(weight_map.values()))


def count_parameters(folder: Path) -> int:
    """Number of weights in a folder's safetensors files, read from their headers; tied weights are stored once.

    Raises:
        ModelError: the folder has no such files, or one is missing or torn.
    """
    files = _weight_files(folder)
    if not files:
        pickled = next((p.name for pattern in PICKLED for p in folder.glob(pattern)), None)
        found = f"only pickled weights ({pickled}), which run code when opened" if pickled else "no weights"
        raise ModelError(
            f"{folder} holds {found}; save the model with `save_pretrained(...)`, which writes model.safetensors"
        )
    return sum(_header_parameters(path) for path in files)


def _header_parameters(path: Path) -> int:
    """Sum of the shapes in a safetensors header: 8 bytes of length, then that much JSON, then the data."""
    try:
        with path.open("rb") as f:
            length = min(int.from_bytes(f.read(8), "little"), path.stat().st_size)
            header: dict[str, Any] = json.loads(f.read(length))
        tensors = [entry for key, entry in header.items() if key != "__metadata__"]
        size = 8 + length + max((entry["data_offsets"][1] for entry in tensors), default=0)
        parameters = sum(math.prod(entry["shape"]) for entry in tensors)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise ModelError(
            f"{path} is not a safetensors file ({type(e).__name__}: {e}); fetch or save the model again"
        ) from e
    if path.stat().st_size != size:
        raise ModelError(
            f"{path} is torn: it has {path.stat().st_size:,} bytes of {size:,}; fetch or save the model again"
        )
    return parameters


def fetch_small(name: str, revision: str | None) -> Path:
    """The snapshot folder of a hub model with its small files, but perhaps without weights; errors as in `pin`."""
    return _downloaded(name, revision, [*BESIDE_WEIGHTS, "adapter_config.json"])


def hub_parameters(name: str, revision: str) -> int:
    """The number of weights that the hub states of a model; 0 if it states none or cannot be asked."""
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        stated = HfApi().model_info(name, revision=revision, expand=["safetensors"]).safetensors
    except (HfHubHTTPError, OfflineModeIsEnabled, httpx2.HTTPError, OSError):
        return 0
    return stated.total if stated else 0


def _fetch(name: str, revision: str | None) -> Path:
    """The snapshot folder of a hub model; its name is the commit. The small files say which weights to fetch next."""
    path = _downloaded(name, revision, [*BESIDE_WEIGHTS, WEIGHTS])
    weights = _weight_names(path)
    return path if weights == [WEIGHTS] else _downloaded(name, path.name, weights)


def _downloaded(name: str, revision: str | None, patterns: list[str]) -> Path:
    import httpx2
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    way_out = (
        "set `model.name` to a folder, put the model into the local Hugging Face cache, or set HF_TOKEN if it is gated"
    )
    try:
        with quietly():
            return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except HFValidationError as e:
        raise ModelError(f"model {name!r} is neither a folder nor a name on the hub ({e}); correct `model.name`") from e
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, httpx2.HTTPError, OSError) as e:
        reason = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        raise ModelError(
            f"model {name!r} (revision {revision or 'newest'}) is no local folder and cannot be fetched from the hub: "
            f"{reason}. {way_out[0].upper()}{way_out[1:]}"
        ) from e
