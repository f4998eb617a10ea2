"""What the engine of a local teacher needs of the rest of the config."""

from distill_dagster.config.teacher import TeacherConfig


def engine_misfits(teacher: TeacherConfig, backend: str) -> list[str]:
    """What vLLM needs and the config does not give."""
    if teacher.generation.engine != "vllm":
        return []
    others = "or use `teacher.generation.engine: auto`"
    local = [source.model for source in [*teacher.sources, teacher] if source.model is not None]
    problems = []
    if not local:
        problems.append(
            f"`teacher.generation.engine: vllm` is for local teachers, and none is given: give one, {others}"
        )
    if len(local) > 1:
        problems.append(
            f"`teacher.generation.engine: vllm` holds one model in the GPU's memory, and {len(local)} local models "
            f"answer or judge: give one of them, {others}"
        )
    if backend == "inline":
        problems.append(
            "`teacher.generation.engine: vllm` needs a process that sees the leased GPUs alone, and `compute.backend` "
            f"is {backend}: set it to `subprocess`, {others}"
        )
    return problems
