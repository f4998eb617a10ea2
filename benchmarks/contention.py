"""How fast three trainings at once are on one CPU, as the package sets OpenMP and as OpenMP is by itself.

Each training is a process of its own with as many threads as there are cores: a Llama of the demo's teacher's size,
batches of 16 rows of 64 tokens. See docs/adr/0009-threads-give-way.md.
"""

import os
import statistics
import subprocess
import sys
import time

ROUNDS, AT_ONCE, SECONDS = 3, 3, 6.0
LLAMA = {
    "hidden_size": 160,
    "intermediate_size": 448,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "vocab_size": 800,
    "tie_word_embeddings": True,
}


def train() -> None:
    """Print how many optimizer steps this process makes in a second, while its siblings train too."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **LLAMA))
    optimizer, ids = torch.optim.AdamW(model.parameters(), 1e-3), torch.randint(0, 800, (16, 64))  # (B, T)

    def step() -> None:
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    print("ready", flush=True)
    sys.stdin.readline()
    start, steps = time.perf_counter(), 0
    while (seconds := time.perf_counter() - start) < SECONDS:
        step()
        steps += 1
    print(steps / seconds)


def steps_per_second(processes: int, spin_count: str | None) -> float:
    """Of all of them together; they begin at once."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("GOMP_", "OMP_"))}
    if spin_count is not None:
        environment["GOMP_SPINCOUNT"] = spin_count
    command = [sys.executable, "-c", "from benchmarks.contention import train; train()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = [subprocess.Popen(command, env=environment, **pipes) for _ in range(processes)]
    for child in children:
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin
        child.stdin.write("\n")
        child.stdin.flush()
    return sum(float(child.communicate()[0]) for child in children)


def measure() -> dict[str, float]:
    """Ratios to OpenMP's own setting, alone and with three at once; medians of alternating rounds."""
    import distill_dagster  # noqa: F401  (sets it; a child that imported it would have no other)

    ours = os.environ.get("GOMP_SPINCOUNT")

    def ratio(processes: int) -> float:
        return statistics.median(
            steps_per_second(processes, ours) / steps_per_second(processes, None) for _ in range(ROUNDS)
        )

    return {
        "training_alone_vs_openmp_default": ratio(1),
        "three_trainings_vs_openmp_default": ratio(AT_ONCE),
    }
