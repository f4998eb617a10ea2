"""Opens a GGUF file, the format of llama.cpp, through transformers' own reader, which dequantizes it.

    name: /models/llama-3.2-1b-Q8_0.gguf     the file
    name: /models/llama-3.2-1b-gguf          a folder without config.json that holds one such file

The weights are written into the artefact as an ordinary model's folder: in bfloat16 if the file holds blocks of few
bits, whose own error is larger than that of bfloat16, else in float32.
"""

import contextlib
import io
from pathlib import Path
from typing import Any

from distill_dagster.errors import ModelError
from distill_dagster.models.quiet import quietly

SUFFIX = ".gguf"


def gguf_of(name: str) -> Path | None:
    """The GGUF file that a model's name means; None if it means something else.

    Raises:
        ModelError: the folder holds several, or the file does not exist.
    """
    path = Path(name).expanduser()
    if path.suffix.lower() == SUFFIX and (path.is_file() or path.is_absolute() or name.startswith(".")):
        if not path.is_file():
            raise ModelError(f"model file {path} does not exist; correct `model.name`")
        return path
    found = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() and not (path / "config.json").exists() else []
    if len(found) > 1:
        names = ", ".join(file.name for file in found[:3])
        raise ModelError(f"{path} holds {len(found)} GGUF files, such as {names}: set `model.name` to one of them")
    return found[0] if found else None


def read_gguf_config(file: Path) -> Any:
    """The transformers config of the file's metadata; ModelError if transformers cannot read it."""
    from transformers import AutoConfig

    return _read(AutoConfig, file)


def read_gguf_tokenizer(file: Path) -> Any:
    """The tokenizer in the file, with its chat template; ModelError if transformers cannot read it."""
    from transformers import AutoTokenizer

    return _read(AutoTokenizer, file)


def read_gguf_model(file: Path) -> Any:
    """The dequantized model in float32 on the CPU; ModelError if transformers cannot read it."""
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    how = {"dtype": torch.float32, "quantization_config": GgufConfig(dequantize=True)}
    return _read(AutoModelForCausalLM, file, **how)


def written_dtype(file: Path) -> Any:
    """The dtype that the dequantized weights are written in."""
    import gguf
    import torch

    plain = {gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.BF16}
    quantized = any(tensor.tensor_type not in plain for tensor in gguf.GGUFReader(file).tensors)
    return torch.bfloat16 if quantized else torch.float32


def _read(kind: Any, file: Path, **how: Any) -> Any:
    try:
        with quietly(), contextlib.redirect_stderr(io.StringIO()):  # it draws a bar that no setting turns off
            return kind.from_pretrained(
                file.parent, gguf_file=file.name, local_files_only=True, trust_remote_code=False, **how
            )
    except Exception as e:  # its reader checks nothing, so that a torn file can fail in any way
        reason = next(iter(str(e).strip().splitlines()), type(e).__name__)
        raise ModelError(
            f"{file} cannot be dequantized ({reason}): set `model.name` to the folder or the hub's name of the model "
            "that the file was made from"
        ) from e
