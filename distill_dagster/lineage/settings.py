"""Which part of the config shapes which artefact: a change of any other setting makes nothing stale.

One function for each stage, from the config to JSON-able values. A fingerprint is made of these and of the versions of
what the stage reads (stages.py).
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill_dagster.config import (
    DistillConfig,
    ExportFormat,
    GenerationConfig,
    LogitsConfig,
    ModelConfig,
    TeacherSource,
)
from distill_dagster.config.divergences import parameters_of
from distill_dagster.config.teacher import SHAPING
from distill_dagster.evaluation.speed.hardware import hardware_of
from distill_dagster.store.disk import file_sha256
from distill_dagster.teachers.sampling import GREEDY, sampling_params

Settings = dict[str, Any]
# fields of `evaluation` that ask nothing else
READ_LATER = ("retention_target", "max_new_tokens", "metrics", "judge", "gold_student")
TIMED_BY = ("latency_requests", "speed")  # fields of `evaluation` that bear on speed alone


def reading(config: DistillConfig) -> Settings:
    """The settings that decide how a source row is judged."""
    rules = config.data.model_dump(include={"format", "require_system", "max_row_bytes", "validation_share"})
    kept = {"meta_keys": sorted(config.data.meta_keys)} if config.data.meta_keys else {}
    return {"reading": {"task": config.task, **rules, **kept, "holds_out": not config.data.validation}}


def teacher_model(config: DistillConfig) -> Settings:
    """The teachers, and how the project's own one is fitted."""
    teacher = config.teacher
    settings = model(teacher.model) if teacher.model else {}
    if teacher.sources:
        settings["sources"] = [_source(source) for source in teacher.sources]
        settings["weights"] = [source.weight for source in teacher.mix]
    return settings | ({"fit": teacher.fit.shaping} if teacher.fit else {}) | _prompt_date(config)


def _source(source: TeacherSource) -> Settings:
    """What shapes the answers of one of several teachers, or of one behind an endpoint."""
    if source.endpoint:
        return source.endpoint.model_dump(include=SHAPING)
    assert source.model is not None, "a source is a model or an endpoint"
    return model(source.model)


def model(config: ModelConfig) -> Settings:
    """The name and files of an existing model, or the shape of a new one."""
    if config.name:
        return {"model": config.model_dump(include={"name", "revision", "dtype"}), "files": _stamps(config.name)}
    return {"model": config.model_dump(exclude={"name", "revision"})}


def _prompt_date(config: DistillConfig) -> Settings:
    """The date in prompts; a project that sets none keeps the fingerprints that it had before there was one."""
    return {"prompt_date": config.prompt_date.isoformat()} if config.prompt_date else {}


def _stamps(name: str) -> list[list[str | int]]:
    """Name, size and time of a model's files, so that a replaced model is noticed; [] for a hub name."""
    folder = Path(name)
    paths = sorted(folder.iterdir()) if folder.is_dir() else [folder]
    return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in paths if path.is_file()]


def teacher_outputs(config: DistillConfig) -> Settings:
    """How the teacher is prompted, and how its replies are read."""
    teacher = config.teacher
    judge = teacher.best_of.judge if teacher.best_of else None
    return {
        "dtype": _dtype(teacher.model),
        "generation": teacher.generation.model_dump(exclude={"engine", "batch_tokens"}),  # neither changes an answer
        **asked_with(config),
        "choose": teacher.best_of.choose if teacher.best_of else None,
        "labels": config.quality.labels,
        **_accepted([source for source in teacher.sources if source is not judge], teacher.generation),
        **({"judge": sent} if judge and (sent := _accepted([judge], GREEDY)) else {}),
    }


def _accepted(sources: Sequence[TeacherSource], generation: GenerationConfig) -> Settings:
    """What endpoints are sent in place of `generation`; nothing where they accept it, as in older stores."""
    asked = sampling_params(generation)
    sent = [sampling_params(generation, source.endpoint.parameters) if source.endpoint else asked for source in sources]
    return {"sent": sent} if any(params != asked for params in sent) else {}


def asked_with(config: DistillConfig) -> Settings:
    """How the teacher is prompted, both to teach and to be measured."""
    return {"prompting": config.teacher.prompting, "summary_words": config.teacher.summary_words}


def teacher_logits(config: DistillConfig) -> Settings:
    """What is kept of the teacher's distributions."""
    logits = config.teacher.logits
    kept = logits.model_dump(exclude={"batch_tokens"}) if logits else None
    return {"dtype": _dtype(config.teacher.model), "logits": kept}


def validated_synthetic_set(config: DistillConfig) -> Settings:
    """Which rows may train, and what is taught of them."""
    return {"quality": config.quality.model_dump(), "learn": config.student.learn}


def gold_set(config: DistillConfig) -> Settings:
    """Which gold answers the gold student learns, and in which form."""
    quality = config.quality.model_dump(exclude={"require_gold_agreement"})  # a gold answer agrees with itself
    return {"quality": quality, "learn": config.student.learn}


def student_base(config: DistillConfig) -> Settings:
    """The student before distillation."""
    if config.student.model:
        return model(config.student.model) | _prompt_date(config)
    assert config.student.init is not None, "the config gives one of the two"
    return {"init": config.student.init.shaping} | _prompt_date(config)


def student_checkpoint(config: DistillConfig) -> Settings:
    """How the student is trained; in rounds or in a sweep, the settings of those stages say so."""
    training = config.student.training
    if training.signal == "on_policy":
        return {"training": {"signal": training.signal}}
    if config.student.sweep:
        return {"training": {"signal": training.signal, "is_swept": True}}
    return _trained(config)


def _trained(config: DistillConfig) -> Settings:
    training = config.student.training
    beside = {"teacher_dtype": _dtype(config.teacher.model)} if training.reads_teacher else {}
    return {"training": training.shaping, **beside}


def student_sweep(config: DistillConfig) -> Settings:
    """Which settings of the student's training are tried, and what all trials share."""
    sweep, shared = config.student.sweep, _trained(config)
    if sweep and sweep.space.logits and (searched := sweep.space.logits.divergence):
        used = config.student.training.objective.model_dump(include=parameters_of(searched))
        shared["training"]["logits"] |= used
    return {**shared, "sweep": sweep.model_dump() if sweep else None}


def student_start(config: DistillConfig) -> Settings:
    """How the student is trained before the first round."""
    return {"training": config.student.training.start.shaping}


def student_rollouts(number: int, config: DistillConfig) -> Settings:
    """How the student is sampled in a round."""
    rounds = config.student.training.rounds
    longest = rounds.max_new_tokens or config.teacher.generation.max_new_tokens
    sampled = {**rounds.sampled, "round": number, "max_new_tokens": longest}
    return {"dtype": student_dtype(config), "rollouts": sampled}


def rollout_logits(config: DistillConfig) -> Settings:
    """What is kept of the teacher's distributions over the rollouts."""
    kept = capture_of(config).model_dump(exclude={"batch_tokens"})
    keeps = config.student.training.rounds.keeps_students_tokens
    students = {"students_dtype": student_dtype(config)} if keeps else {}
    return {"dtype": _dtype(config.teacher.model), "logits": kept, **students}


def capture_of(config: DistillConfig) -> LogitsConfig:
    """What is kept of the teacher's distributions; the defaults if the config does not say."""
    return config.teacher.logits or LogitsConfig()


def student_round(config: DistillConfig) -> Settings:
    """How the student is trained in a round."""
    return {"training": config.student.training.shaping}


def teacher_benchmark(config: DistillConfig) -> Settings:
    """How the teacher is measured."""
    measured = [] if config.teacher.model else config.teacher.sources[:1]
    return _benchmark(config, config.teacher.model) | asked_with(config) | _accepted(measured, GREEDY)


def student_benchmark(config: DistillConfig) -> Settings:
    """How the student is measured, before and after distillation."""
    return _benchmark(config, config.student.model or config.teacher.model)


def _benchmark(config: DistillConfig, measured: ModelConfig | None) -> Settings:
    return {
        "dtype": _dtype(measured),
        "max_new_tokens": answer_tokens(config),
        "evaluation": config.evaluation.model_dump(exclude={*READ_LATER, *TIMED_BY}),
        **(
            {"metrics": {name: _module_hash(name) for name in config.evaluation.metrics}}
            if config.evaluation.metrics
            else {}
        ),
    }


def speed_benchmark(config: DistillConfig) -> Settings:
    """How the models are timed, and on which hardware: on another machine, their speed is another one."""
    student = config.student.model or config.teacher.model
    return {
        "dtypes": [_dtype(config.teacher.model), _dtype(student)],
        "max_new_tokens": answer_tokens(config),
        "evaluation": config.evaluation.model_dump(include={"seed", *TIMED_BY}),
        **asked_with(config),
        **({"export_max_length": config.export.max_length} if config.export.formats else {}),
        "hardware": hardware_of(config.compute),
    }


def _module_hash(import_path: str) -> str | None:
    """A hash of the file that defines a metric; None if it cannot be found, which the preflight reports."""
    try:
        spec = importlib.util.find_spec(import_path.partition(":")[0])
    except (ImportError, ValueError, AttributeError):
        return None
    origin = Path(spec.origin) if spec and spec.origin else None
    return file_sha256(origin) if origin and origin.is_file() else None


def answer_tokens(config: DistillConfig) -> int:
    """The longest answer in the benchmarks, in tokens."""
    return config.evaluation.max_new_tokens or config.teacher.generation.max_new_tokens


def answer_judgement(config: DistillConfig) -> Settings:
    """Who judges the answers, and how many."""
    judge = config.evaluation.judge
    if judge is None:
        return {}
    compared = config.evaluation.model_dump(include={"resamples", "seed"})
    return {"judge": judge.endpoint.model_dump(include=SHAPING), "prompts": judge.prompts, "evaluation": compared}


def eval_report(config: DistillConfig) -> Settings:
    """How the three models are compared, and which export is held against the targets."""
    compared = config.evaluation.model_dump(include={"resamples", "seed", "retention_target"})
    shipped = {"shipped": config.export.shipped} if config.export.shipped else {}
    return {"evaluation": compared, "name": config.name, **shipped}


def released_student(config: DistillConfig) -> Settings:
    """By which rule a student is released, and what its model card takes from the config."""
    rule = config.release.model_dump(exclude={"keep", "publish"}) if config.release else None
    return {"release": rule, "evaluation": config.evaluation.model_dump(include={"resamples", "seed"})}


def published_student(config: DistillConfig) -> Settings:
    """Where the released student is published."""
    places = config.release.publish if config.release else None
    return {"publish": places.shaping if places else None}


def student_export(form: ExportFormat, config: DistillConfig) -> Settings:
    """The format of an export, and how it is measured: as the checkpoint is."""
    return {**student_benchmark(config), "export": {"format": form, "max_length": config.export.max_length}}


def student_dtype(config: DistillConfig) -> str:
    """The precision in which the student answers; one that is cut out of the teacher has the teacher's."""
    model = config.student.model or config.teacher.model
    assert model is not None, "the config gives `student.model`, or `student.init` with `teacher.model`"
    return model.dtype


def _dtype(config: ModelConfig | None) -> str | None:
    return config.dtype if config else None
