"""Options of different sections that do not fit each other, each with both values and the way out."""

from distill_dagster.config.data import DataConfig
from distill_dagster.config.logits import LogitsConfig
from distill_dagster.config.signals import OTHER_SIGNALS, LogitsSignalConfig, StudentTrainingConfig
from distill_dagster.config.student import StudentConfig
from distill_dagster.config.teacher import TeacherConfig
from distill_dagster.tasks.misfits import misfits


def option_misfits(task: str, data: DataConfig, teacher: TeacherConfig, student: StudentConfig) -> list[str]:
    """The options that do not fit the task or each other, each with both values and the way out."""
    problems = misfits(task, teacher.prompting, teacher.summary_words)
    if student.init and teacher.model is None:
        problems.append(
            "`student.init` cuts the student out of the teacher's weights, and `teacher.model` is not given: name a "
            "teacher with open weights, or give `student.model`"
        )
    if student.model and student.model.tokenizer == "teacher" and teacher.model is None:
        problems.append(
            "`student.model.tokenizer: teacher` needs a teacher whose tokenizer is here, and `teacher.model` is not "
            "given: use `tokenizer: train`, or an existing student by `name`"
        )
    if student.learn == "reasoning_and_answer" and teacher.prompting != "chain_of_thought":
        problems.append(
            f"`student.learn: {student.learn}` needs a teacher that gives its reasoning, and `teacher.prompting` is "
            f"{teacher.prompting}: use `prompting: chain_of_thought`, or `learn: answer`"
        )
    found = [_signal_misfits(teacher, student, training) for training in student.trainings]
    return [*problems, *dict.fromkeys(problem for one in found for problem in one), *_unmeasured(data, student)]


def _unmeasured(data: DataConfig, student: StudentConfig) -> list[str]:
    """A sweep without a validation loss."""
    if student.sweep is None or data.validation or data.validation_share:
        return []
    return [
        "`student.sweep` compares validation losses, and there are no validation rows: name files in "
        "`data.validation`, or raise `data.validation_share` above 0"
    ]


def _signal_misfits(teacher: TeacherConfig, student: StudentConfig, training: StudentTrainingConfig) -> list[str]:
    """What the student's signal needs and the config does not give."""
    if training.signal == "text":
        return []
    problems = _stored_misfits(training, teacher.logits) if training.reads_logits else []
    if training.signal == "on_policy":
        problems += _rollout_misfits(training, teacher)
    if training.reads_teacher and teacher.model is None:
        given = "an endpoint" if teacher.endpoint else "several models (`mix`)"
        problems.append(
            "`student.training.signal: hidden` runs the teacher beside the student, which needs its weights, and the "
            f"teacher is {given}: give `teacher.model`, or use `signal: text`"
        )
    return problems + (_tokenizer_misfits(teacher, student) if training.compares_tokens else [])


def _tokenizer_misfits(teacher: TeacherConfig, student: StudentConfig) -> list[str]:
    """Tokenizers that cannot be the same, because one of them is trained on the rows."""
    needs = f"`student.training.signal: {student.training.signal}` needs a student with the teacher's tokenizer, and"
    if student.model and student.model.architecture and student.model.tokenizer != "teacher":
        given = student.model.tokenizer
        return [f"{needs} `student.model.tokenizer` is {given}: use `tokenizer: teacher`, {OTHER_SIGNALS}"]
    if student.model and student.model.name and teacher.model and teacher.model.architecture:
        own = f"the teacher's is trained on the rows, while {student.model.name} has its own"
        return [f"{needs} {own}: use {OTHER_SIGNALS}"]
    return []


def _stored_misfits(training: StudentTrainingConfig, logits: LogitsConfig | None) -> list[str]:
    """What a student needs that learns from the distributions over the teacher's own text."""
    if logits is None:
        asked = {"logits": "signal: logits", "on_policy": "on_policy.start: logits"}.get(training.signal, "logits")
        return [
            f"`student.training.{asked}` needs the teacher's distributions, and `teacher.logits` is not given: "
            "add `teacher.logits: {}`, or use `signal: text`"
        ]
    return _tail_misfits(training.objective, logits, "student.training.logits")


def _tail_misfits(objective: LogitsSignalConfig, logits: LogitsConfig, field: str) -> list[str]:
    """What an objective needs of the tail."""
    if logits.tail == "sampled" and (objective.temperature != 1 or objective.divergence != "forward_kl"):
        return [
            f"`teacher.logits.tail: sampled` serves the forward KL at temperature 1, and `{field}` "
            f"asks for {objective.divergence} at temperature {objective.temperature}: use `tail: bucket`"
        ]
    return []


def _rollout_misfits(training: StudentTrainingConfig, teacher: TeacherConfig) -> list[str]:
    """What rollouts need: one teacher with open weights that reads what the student reads."""
    problems = []
    if teacher.model is None:
        problems.append(
            "`student.training.signal: on_policy` needs a teacher that reads the student's samples here, and "
            "`teacher.model` is not given: name one with open weights, or use `signal: text`"
        )
    if teacher.prompting != "plain":
        problems.append(
            f"`student.training.signal: on_policy` shows the teacher the student's own prompt, and `teacher.prompting` "
            f"is {teacher.prompting}: use `prompting: plain`, or `signal: text`"
        )
    captured = teacher.logits or LogitsConfig()
    return problems + _tail_misfits(training.on_rollouts.objective, captured, "student.training.on_policy")
