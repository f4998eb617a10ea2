"""The losses of other libraries, as published: what `conformance` runs beside ours.

TRL is installed for the tests. Of the others only the file with the loss is executed, out of a wheel that pip downloads
without its requirements; what the file imports besides torch is named in `LOSSES`. DistillKit has no wheel: its formula
is written down here from its source (version 1.0.0, commit a61c2e7, lossfuncs/kl.py and lossfuncs/common.py).

Settings are the library's defaults for a forward KL without cross-entropy, unless a row's name says otherwise. What a
library takes of the teacher differs: its logits, or log-probabilities of the k likeliest tokens. A temperature is
applied to these as the library does it; TRL and verl have the teacher's server apply it.

A loss that takes hidden states and a head gets a head that is all bias, one position at a time. The bias's gradient is
then that of the position's logits.
"""

import importlib.util
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

from benchmarks.conformance import Batch, Loss, Row

Tensor = torch.Tensor
PerPosition = Callable[[Tensor, int], Tensor]  # a head's bias (V,), the position -> its loss
WHEELS = {
    "liger-kernel": "0.8.5",
    "axolotl": "0.19.0",
    "ms-swift": "4.6.0",
    "nvidia-modelopt": "0.47.0",
    "verl": "0.9.1",
}
DOWNLOAD_S = 120


def peers(folder: Path) -> tuple[dict[str, Row], dict[str, str]]:
    """The rows of all losses that can be had, and why others cannot."""
    rows, missing = {**distillkit_rows(), **trl_rows()}, {}
    for name, version in WHEELS.items():
        try:
            rows |= LOSSES[name](unpacked(folder, name, version))
        except (OSError, ImportError, subprocess.SubprocessError, StopIteration) as error:
            missing[f"{name} {version}"] = f"{type(error).__name__}: {error}"
    return rows, missing


def unpacked(folder: Path, name: str, version: str) -> Path:
    """The folder of a wheel's modules."""
    asked = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    asked += ["--disable-pip-version-check", "--dest", str(folder / name), f"{name}=={version}"]
    subprocess.run(asked, check=True, capture_output=True, timeout=DOWNLOAD_S)
    with zipfile.ZipFile(next((folder / name).glob("*.whl"))) as wheel:
        wheel.extractall(folder / name)
    return folder / name


def executed(folder: Path, path: str, **imports: Any) -> ModuleType:
    """The module of one file; `imports` are modules that it asks for, with `__` for a dot."""
    name = path.removesuffix(".py").replace("/", ".")
    given = {key.replace("__", "."): value for key, value in imports.items()}
    before = {key: sys.modules.get(key) for key in given}
    found = importlib.util.spec_from_file_location(name, folder / path)
    if found is None or found.loader is None:
        raise ImportError(f"{path} is no module")
    module = importlib.util.module_from_spec(found)
    sys.modules |= {name: module, **given}
    try:
        found.loader.exec_module(module)
    finally:
        for key, value in {**before, name: None}.items():
            if value is None:
                sys.modules.pop(key, None)
            else:
                sys.modules[key] = value
    return module


def by_bias(student: Tensor, loss: PerPosition) -> Tensor:
    """The mean over positions of a loss that takes a head, whose bias is the position's logits."""
    return torch.stack([loss(logits, i) for i, logits in enumerate(student)]).mean()


def liger(folder: Path) -> dict[str, Row]:
    """chunked_loss/jsd_loss.py: the teacher's hidden states and head, so all tokens."""
    module = _liger_base(folder)
    jsd = executed(
        folder, "liger_kernel/chunked_loss/jsd_loss.py", liger_kernel__chunked_loss__fused_linear_distillation=module
    )

    def loss(student: Tensor, batch: Batch, temperature: int) -> Tensor:
        fused = jsd.LigerFusedLinearJSDLoss(0.0, 1.0, beta=0.0, temperature=float(temperature), compiled=False)
        nothing, zeros, label = torch.zeros(1, 1), torch.zeros(student.shape[1], 1), torch.zeros(1, dtype=torch.long)

        def one(bias: Tensor, i: int) -> Tensor:
            return fused(nothing.requires_grad_(), zeros, nothing, zeros, label, bias, batch.teacher[i])

        return by_bias(student, one)

    return {"liger": Row(loss)}


def _liger_base(folder: Path) -> ModuleType:
    return executed(folder, "liger_kernel/chunked_loss/fused_linear_distillation.py")


def axolotl(folder: Path) -> dict[str, Row]:
    """integrations/kd/kernels/liger.py, over Liger's base. Its data loader renormalises the teacher's k tokens."""
    base = _liger_base(unpacked(folder.parent, "liger-kernel", WHEELS["liger-kernel"]))
    module = executed(
        folder,
        "axolotl/integrations/kd/kernels/liger.py",
        liger_kernel__chunked_loss__fused_linear_distillation=base,
        axolotl__integrations__kd__utils=executed(folder, "axolotl/integrations/kd/utils.py"),
    )

    def loss(normalize: bool) -> Loss:
        def mean(student: Tensor, batch: Batch, temperature: int) -> Tensor:
            logs, ids = batch.top()
            target = (logs / temperature).log_softmax(-1)
            mask, label = torch.ones(1, 1, batch.k), torch.zeros(1, 1, dtype=torch.long)
            fused = module.LigerFusedLinearKLTopKLogprobLoss(
                0.0, 1.0, float(temperature), beta=0.0, compiled=False, compute_ce_loss=False, normalize_topk=normalize
            )

            def one(bias: Tensor, i: int) -> Tensor:
                states, zeros = torch.zeros(1, 1, 1).requires_grad_(), torch.zeros(len(bias), 1)
                return fused(zeros, states, ids[None, i : i + 1], target[None, i : i + 1], mask, label, bias)

            return by_bias(student, one)

        return mean

    return {"axolotl_k64": Row(loss(False)), "axolotl_k64_normalized": Row(loss(True))}


def ms_swift(folder: Path) -> dict[str, Row]:
    """rlhf_trainers/gkd_loss.py: the teacher's logits, or with `gkd_logits_topk` the k likeliest."""
    module = executed(folder, "swift/rlhf_trainers/gkd_loss.py")

    def loss(k: int | None) -> Loss:
        def mean(student: Tensor, batch: Batch, temperature: int) -> Tensor:
            labels = torch.zeros(1, len(student), dtype=torch.long)
            teacher = module.TeacherOutput(full_logits=batch.teacher[None], labels=labels)
            given = teacher if k is None else teacher.to_topk(k)
            total, count = module.gkd_loss(student[None], given, labels, 0.0, float(temperature))
            return total / count

        return mean

    return {"ms_swift": Row(loss(None)), "ms_swift_k64": Row(loss(64))}


def modelopt(folder: Path) -> dict[str, Row]:
    """torch/distill/losses.py: the teacher's logits."""
    module = executed(folder, "modelopt/torch/distill/losses.py")

    def loss(student: Tensor, batch: Batch, temperature: int) -> Tensor:
        return module.LogitsDistillationLoss(float(temperature), "none")(student, batch.teacher).mean()

    return {"modelopt": Row(loss)}


def verl(folder: Path) -> dict[str, Row]:
    """trainer/distillation/fsdp/losses.py, `forward_kl_topk`; losses below 0 become 0 in the losses.py above it."""
    config = SimpleNamespace(DistillationConfig=object, DistillationLossConfig=object)
    alone = SimpleNamespace(get_ulysses_sequence_parallel_world_size=lambda: 1, slice_input_tensor=None)
    module: Any = executed(
        folder, "verl/trainer/distillation/fsdp/losses.py", verl__utils__ulysses=alone, verl__workers__config=config
    )
    settings = SimpleNamespace(distillation_loss=SimpleNamespace(log_prob_min_clamp=None))

    def loss(student: Tensor, batch: Batch, temperature: int) -> Tensor:
        logs, ids = (torch.nested.as_nested_tensor([part], layout=torch.jagged) for part in batch.top(temperature))
        made = module.compute_forward_kl_topk(student[None] / temperature, logs, ids, settings, "thd")
        return made["distillation_losses"].clamp_min(0).mean()

    return {"verl_k64": Row(loss)}


def trl_rows() -> dict[str, Row]:
    """kernels/chunked_divergence.py, and the server's k tokens in experimental/server_distillation."""
    from trl.kernels.chunked_divergence import ChunkedDivergenceFunction

    def whole(student: Tensor, batch: Batch, temperature: int) -> Tensor:
        states, zeros = torch.zeros(1, 1), torch.zeros(student.shape[1], 1)

        def one(bias: Tensor, i: int) -> Tensor:
            teacher = (states, zeros, batch.teacher[i])
            return ChunkedDivergenceFunction.apply(states, zeros, bias, *teacher, 0.0, float(temperature))[0][0]

        return by_bias(student, one)

    return {"trl": Row(whole), "trl_k64": Row(_trl_server(False)), "trl_k64_tail": Row(_trl_server(True))}


def _trl_server(tail: bool) -> Loss:
    def mean(student: Tensor, batch: Batch, temperature: int) -> Tensor:
        os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
        from trl.experimental.server_distillation import server_distillation_trainer as server

        p, ids = batch.top(temperature)
        q, mask = (student / temperature).log_softmax(-1).gather(1, ids), torch.ones_like(ids, dtype=torch.bool)
        if tail:
            (p, _), (q, mask) = server._add_tail_bucket(p, mask), server._add_tail_bucket(q, mask)
        else:
            p, q = p.log_softmax(-1), q.log_softmax(-1)
        return server._jsd_divergence(q, p, 0, mask).sum() / len(student)

    return mean


def distillkit_rows() -> dict[str, Row]:
    """`kl` on k log-probabilities: missing tokens have none of the teacher's mass (its default), or are one outcome."""
    least = 1e-8

    def loss(bucket: bool) -> Loss:
        def mean(student: Tensor, batch: Batch, temperature: int) -> Tensor:
            logs, ids = batch.top()
            left = (1 - logs.exp().sum(-1, keepdim=True)).clamp(0, 1) ** (1 / temperature) if bucket else 0.0
            p = logs / temperature - ((logs / temperature).exp().sum(-1, keepdim=True) + left).log()
            q = (student / temperature).log_softmax(-1).gather(1, ids)
            losses = (p.exp() * (p - q)).sum(-1)
            if bucket:
                rest, own = (1 - side.exp().sum(-1).clamp(least, 1 - least) for side in (p, q))
                losses = losses + rest * (rest / own).log()
            return temperature**2 * losses.mean()

        return mean

    return {"distillkit_k64": Row(loss(False)), "distillkit_k64_uniform": Row(loss(True))}


LOSSES: dict[str, Callable[[Path], dict[str, Row]]] = {
    "liger-kernel": liger,
    "axolotl": axolotl,
    "ms-swift": ms_swift,
    "nvidia-modelopt": modelopt,
    "verl": verl,
}
