"""The gate before a teacher is paid: whether what it says, and what is stored of it, can teach this student.

models/fitness.py looks at each model alone. Here both are tried together, on a plain prompt and short answers, in the
way in which the teacher's answers are captured and the student's rows are tokenized:

    any signal           the longest answer that is asked for fits the student's `max_length`     (a warning)
                         the answer's tokens alone are those behind the prompt                    (a warning)
    teacher.logits       the teacher's answer is captured: its tokens are its text, behind an unchanged prompt
    signal logits        both tokenizers give the same tokens, and both templates the same answer
    across_tokenizers    the tokens of both can be told apart by their bytes

A model that is still to be made has no tokenizer yet, and nothing is tried with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from distill_dagster.config import DistillConfig
from distill_dagster.config.section import Section
from distill_dagster.config.signals import StudentTrainingConfig
from distill_dagster.errors import ModelError
from distill_dagster.logits.sequences import Refused, tokenize_answer
from distill_dagster.models.fitness import Parts
from distill_dagster.models.frames import PLAIN, PLAIN_ANSWER, RenderError, opening_of
from distill_dagster.models.rendering import encode, encode_example, render_prompt
from distill_dagster.models.same_tokens import common_ids, require_same_ids
from distill_dagster.models.token_bytes import token_bytes

ANSWERS = (PLAIN_ANSWER, "The door is red.", "42", "Two lines:\n- red\n- green")


class Lesson(Section):
    """How the student learns from the teacher."""

    training: StudentTrainingConfig = StudentTrainingConfig()
    captures: bool = False  # whether the teacher's distributions are stored
    new_tokens: int | None = None  # the longest answer that the teacher is asked for

    @classmethod
    def of(cls, config: DistillConfig) -> "Lesson":
        """That of a project."""
        teacher = config.teacher
        return cls(
            training=config.student.training,
            captures=teacher.logits is not None,
            new_tokens=teacher.generation.max_new_tokens,
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """Teacher and student without their weights; None for one that is still to be made, or is behind an endpoint."""

    teacher: Parts | None
    student: Parts | None


def require_pair(pair: Pair, lesson: Lesson) -> None:
    """Raise ModelError with the problems of a teacher and its student together."""
    if found := list(pair_problems(pair, lesson)):
        raise ModelError("; ".join(found))


def pair_problems(pair: Pair, lesson: Lesson) -> Iterator[str]:
    """Why the student cannot learn from the teacher, each with the way out."""
    teacher, student, training = pair.teacher, pair.student, lesson.training
    if lesson.captures and teacher:
        yield from _capture_problems(teacher)
    if training.signal == "text":
        return
    try:
        if training.objective.across_tokenizers:
            _require_bytes(pair)
        elif teacher and student:
            _require_same_tokens(teacher, student)
    except ModelError as e:
        yield f"`student.training.signal: {training.signal}`: {e}"


def pair_warnings(pair: Pair, lesson: Lesson) -> Iterator[str]:
    """What can work, and probably not as it is meant."""
    longest, new_tokens = lesson.training.max_length, lesson.new_tokens
    if new_tokens and new_tokens >= longest:
        yield (
            f"`teacher.generation.max_new_tokens` is {new_tokens:,}, and rows of more than "
            f"`student.training.max_length: {longest}` tokens cannot train: lower the first, or raise the second"
        )
    if pair.student:
        yield from _retokenized(pair.student)


def _capture_problems(teacher: Parts) -> Iterator[str]:
    """Why not even a plain answer's distributions would be stored."""
    try:
        tokenize_answer(teacher.tokenizer, PLAIN, PLAIN_ANSWER, opening_of(teacher.tokenizer))
    except Refused as e:
        yield (
            f"`teacher.logits`: {teacher.name} cannot be captured, since of the answer {PLAIN_ANSWER!r} {e} "
            f"({e.code}): use another template, or remove `teacher.logits`"
        )


def _require_same_tokens(teacher: Parts, student: Parts) -> None:
    """Raise ModelError unless both tokenize alike, and answers behind the prompt of their own template too."""
    common_ids(teacher.tokenizer, student.tokenizer, _end(teacher))
    for answer in ANSWERS:
        ids = _captured(teacher, answer)
        require_same_ids(answer, ids, _learned(student, answer)[: len(ids)])


def _require_bytes(pair: Pair) -> None:
    """Raise ModelError unless the bytes of both models' tokens are known: by them, any two answers can be aligned."""
    for parts in (pair.teacher, pair.student):
        if parts:
            token_bytes(parts.tokenizer)


def _captured(teacher: Parts, answer: str) -> list[int]:
    """The tokens of an answer, without its end, as they are stored; [] if it is refused."""
    try:
        prompt, ids = tokenize_answer(teacher.tokenizer, PLAIN, answer, opening_of(teacher.tokenizer))
    except Refused:
        return []
    return ids[len(prompt) :]


def _learned(student: Parts, answer: str) -> list[int]:
    """The tokens that the student learns of an answer."""
    made = encode_example(student.tokenizer, PLAIN, answer, student.ends)
    return made.ids[made.answer_start :]


def _end(teacher: Parts) -> list[int]:
    """The token that the teacher's template puts behind an answer, if it renders one; else its first end token."""
    try:
        return encode_example(teacher.tokenizer, PLAIN, PLAIN_ANSWER, teacher.ends).ids[-1:]
    except RenderError:
        return teacher.ends[:1]


def _retokenized(student: Parts) -> Iterator[str]:
    """An answer whose tokens alone, which the student learns, are not those behind its prompt."""
    tokenizer = student.tokenizer
    before = render_prompt(tokenizer, PLAIN)
    prompt, opening = encode(tokenizer, before), opening_of(tokenizer)
    for answer in ANSWERS:
        try:
            learned, whole = _learned(student, answer), encode(tokenizer, before + opening + answer)
        except RenderError:  # a row with such an answer is refused; others may train
            continue
        if [*prompt, *learned][: len(whole)] != whole:
            yield (
                f"{student.name}: {answer!r} is {whole[len(prompt) :]} to its tokenizer behind the prompt, and alone, "
                f"as the student learns it, {learned}: a pretrained student may know the first better"
            )
            return
