"""The part `head_loss`: head, loss and gradients of one batch, ours in chunks against torch over all logits at once.

Hidden states and head are bfloat16, as under autocast; the student's distribution is compared with k stored tokens and
their tail. The dense side has the teacher's whole distribution, and the two terms as torch writes them.
"""

import time
from collections.abc import Callable

import torch

from benchmarks.gpu.job import Figures, Job
from benchmarks.signals import distillation
from distill_dagster.training.signals.kernel import Term, head_loss
from distill_dagster.training.signals.text import CrossEntropy

ROUNDS = 5


def measure_loss(job: Job) -> Figures:
    """Milliseconds (the fastest of `ROUNDS`) and bytes above what stands before the loss, for each way."""
    started, size = time.perf_counter(), job.size
    torch.manual_seed(0)
    hidden_size = int(size.model.settings["hidden_size"])
    head = torch.nn.Linear(hidden_size, size.loss_vocabulary, bias=False, device=job.device, dtype=torch.bfloat16)
    hidden = torch.randn(size.loss_tokens, hidden_size, device=job.device, dtype=torch.bfloat16, requires_grad=True)
    tokens = torch.randint(0, size.loss_vocabulary, (size.loss_tokens,))
    weights = torch.full((size.loss_tokens,), 1 / size.loss_tokens)
    text: Term = CrossEntropy(tokens[:, None].to(job.device), weights.to(job.device))
    stored = distillation(tokens, weights, size.loss_vocabulary, job.device)
    ways: dict[str, Callable[[], torch.Tensor]] = {
        "text": lambda: head_loss(hidden, head, [text]),
        "logits": lambda: head_loss(hidden, head, [stored]),
        "dense": _dense(head, hidden, tokens.to(job.device)),
    }
    measured = {name: _cost(way, job.device) for name, way in ways.items()}
    peaks = {f"{name}_bytes": peak for name, (_, peak) in measured.items()}
    times = {f"{name}_ms": milliseconds for name, (milliseconds, _) in measured.items()}
    dense_ms, dense_bytes = measured["dense"]
    return {
        "seconds": time.perf_counter() - started,
        "peak_memory_bytes": max(peaks.values()),
        "tokens_per_second": size.loss_tokens / measured["logits"][0] * 1000,
        "logits_peak_vs_dense": measured["logits"][1] / dense_bytes if dense_bytes else None,
        "logits_time_vs_dense": measured["logits"][0] / dense_ms,
        **peaks,
        **times,
    }


def _dense(head: torch.nn.Module, hidden: torch.Tensor, tokens: torch.Tensor) -> Callable[[], torch.Tensor]:
    teacher = torch.randn(len(tokens), head(hidden[:1]).shape[1], device=hidden.device).log_softmax(-1)

    def loss() -> torch.Tensor:
        student = head(hidden).float().log_softmax(-1)
        divergence = torch.nn.functional.kl_div(student, teacher, log_target=True, reduction="none").sum(-1)
        return (divergence - student.gather(1, tokens[:, None])[:, 0]).mean() / 2

    return loss


def _cost(way: Callable[[], torch.Tensor], device: str) -> tuple[float, int]:
    """Milliseconds, and bytes on the GPU (0 on a CPU), of loss and gradients."""
    on_gpu = torch.device(device).type == "cuda"
    way().backward()  # warms up, and makes the gradients that both sides then add to
    seconds, before = [], torch.cuda.memory_allocated() if on_gpu else 0
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    for _ in range(ROUNDS):
        _wait(on_gpu)
        started = time.perf_counter()
        way().backward()
        _wait(on_gpu)
        seconds.append(time.perf_counter() - started)
    return 1000 * min(seconds), torch.cuda.max_memory_allocated() - before if on_gpu else 0


def _wait(on_gpu: bool) -> None:
    if on_gpu:
        torch.cuda.synchronize()
