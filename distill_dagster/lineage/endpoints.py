"""Which endpoints a stage sends requests to."""

from distill_dagster.config import DistillConfig, EndpointConfig


def endpoints_of(stage: str, config: DistillConfig) -> list[EndpointConfig]:
    """The endpoints that a stage asks, each once: for answers all teachers and their judge, else the first teacher."""
    if stage == "answer_judgement":
        return [config.evaluation.judge.endpoint] if config.evaluation.judge else []
    sources = config.teacher.sources
    if stage == "teacher_benchmark":
        sources = sources[:1] if config.teacher.model is None else []
    elif stage != "teacher_outputs":
        return []
    found = [source.endpoint for source in sources if source.endpoint]
    return [endpoint for i, endpoint in enumerate(found) if endpoint not in found[:i]]


def asks_endpoint(stage: str, config: DistillConfig) -> bool:
    """Whether a stage sends requests to an endpoint, unless all replies are stored."""
    return bool(endpoints_of(stage, config))
