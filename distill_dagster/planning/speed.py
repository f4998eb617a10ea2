"""What it takes to time a teacher behind an endpoint. Its benchmark asks the same prompts, and they count once."""

from distill_dagster.config import GenerationConfig
from distill_dagster.errors import NotPublishedError
from distill_dagster.lineage.endpoints import asks_endpoint
from distill_dagster.lineage.labels import labels_of
from distill_dagster.lineage.settings import answer_tokens
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.planning.estimate import Estimate, ShardPlan
from distill_dagster.planning.source_rows import SourceRows
from distill_dagster.tasks.asked import Asked
from distill_dagster.teachers import open_teacher
from distill_dagster.teachers.faculty import Faculty
from distill_dagster.teachers.responses import Responses


def labels_so_far(look: Snapshot) -> list[str] | None:
    """The labels in the benchmark's prompts; only the config's if the source rows are not judged yet."""
    try:
        return labels_of(look)
    except NotPublishedError:
        return look.config.quality.labels


def plan_speed(
    look: Snapshot, source: SourceRows, faculty: Faculty, responses: Responses, asked: set[str], rules: list[str]
) -> ShardPlan | None:
    """The requests that time the teacher and are not stored; None for one that runs here and costs nothing."""
    from distill_dagster.evaluation.asking import benchmark_requests, one_by_one
    from distill_dagster.evaluation.speed.benchmark import draw_prompts

    ref = faculty.teachers[0][1] if faculty.teachers else None
    if ref is None or ref.endpoint is None or not asks_endpoint("speed_benchmark", look.config):
        return None
    config, most, single = look.config, answer_tokens(look.config), one_by_one(ref)
    teacher = open_teacher(single, GenerationConfig(max_new_tokens=most), "cpu")
    how = Asked(config.teacher.prompting, config.teacher.summary_words, labels_so_far(look))
    rows = source.of("eval_dataset", None) or []
    drawn = draw_prompts(rows, config.evaluation)[: config.evaluation.speed.endpoint_requests]
    plan = ShardPlan("speed_benchmark", rows=len(drawn))
    requests = benchmark_requests([how.prompt(task, prompt) for task, prompt in drawn], teacher)
    others = [request for request in requests if request.request_hash not in asked]  # not asked by its benchmark
    Estimate(plan, [single], responses, asked, most, rules).ask(teacher, others)
    return plan
