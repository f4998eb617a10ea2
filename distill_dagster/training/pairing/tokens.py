"""Whether the student's tokenizer and template go with the teacher's.

Both are tried on a plain prompt and short answers, in the way in which the teacher's answers are captured and the
student's rows are tokenized:

    any signal           the longest answer that is asked for fits the student's `max_length`     (a warning)
                         the answer's tokens alone are those behind the prompt                    (a warning)
    teacher.logits       the teacher's answer is captured: its tokens are its text, behind an unchanged prompt
                         both models have the `k` tokens that are stored of a distribution
    all but text         both tokenizers give the same tokens (models/same_tokens.py)
    logits, on_policy    both templates give the same answer
    on_policy            both templates end it with the same token
    hidden               the teacher has every token that the student's template writes
    across_tokenizers    the tokens of both can be told apart by their bytes
"""

from collections.abc import Iterator

from distill_dagster.config import LogitsConfig
from distill_dagster.errors import ModelError
from distill_dagster.logits.sequences import Refused, tokenize_answer
from distill_dagster.logits.tokenizer import tokenizer_hash
from distill_dagster.models.fitness import Parts
from distill_dagster.models.frames import PLAIN, PLAIN_ANSWER, RenderError, opening_of
from distill_dagster.models.rendering import encode, encode_example, render_prompt
from distill_dagster.models.row_limits import RowLimits
from distill_dagster.models.same_tokens import common_ids, require_known, require_same_ids
from distill_dagster.models.token_bytes import token_bytes
from distill_dagster.training.pairing.values import Pairing, Sides

ANSWERS = (PLAIN_ANSWER, "The door is red.", "42", "Two lines:\n- red\n- green")


def token_problems(sides: Sides, pairing: Pairing) -> Iterator[str]:
    """Why the student cannot learn the teacher's tokens, each with the way out."""
    if pairing.k and sides.teacher:
        yield from _capture_problems(sides.teacher, pairing.k)
    try:
        _require_tokens(sides, pairing)
    except ModelError as e:
        yield f"`student.training.signal: {pairing.training.signal}`: {e}"


def token_warnings(sides: Sides, pairing: Pairing) -> Iterator[str]:
    """What can work, and probably not as it is meant."""
    longest, rollouts = pairing.training.max_length, pairing.training.rounds.max_new_tokens
    asked = {"teacher.generation": pairing.new_tokens, "student.training.on_policy": rollouts}
    for section, new_tokens in asked.items():
        if new_tokens and new_tokens >= longest:
            yield (
                f"`{section}.max_new_tokens` is {new_tokens:,}, and rows of more than "
                f"`student.training.max_length: {longest}` tokens cannot train: lower the first, or raise the second"
            )
    if sides.student:
        yield from _retokenized(sides.student)


def _require_tokens(sides: Sides, pairing: Pairing) -> None:
    """Raise ModelError unless both have the tokens that the signal needs."""
    training, teacher, student = pairing.training, sides.teacher, sides.student
    if training.aligns_tokens:
        _require_bytes(sides)
    if not (training.compares_tokens and teacher and student):
        return
    shared = common_ids(teacher.tokenizer, student.tokenizer, _end(teacher))
    if training.reads_logits or training.signal == "on_policy":
        _require_same_answers(teacher, student)
        _require_k(pairing.k or LogitsConfig().k, shared, teacher, student)  # rollouts are captured anyway
    if training.signal == "on_policy":
        _require_same_end(teacher, student)
    if training.reads_teacher:
        require_known(teacher.tokenizer, student.tokenizer, _row(student))


def _capture_problems(teacher: Parts, k: int) -> Iterator[str]:
    """Why not even a plain answer's distributions would be stored."""
    if k > (embedded := _embedded(teacher)):
        yield f"teacher.logits.k is {k}, and {teacher.name} has {embedded} tokens: lower `k`"
    try:
        tokenize_answer(teacher.tokenizer, PLAIN, PLAIN_ANSWER, opening_of(teacher.tokenizer))
    except Refused as e:
        yield (
            f"`teacher.logits`: {teacher.name} cannot be captured, since of the answer {PLAIN_ANSWER!r} {e} "
            f"({e.code}): use another template, or remove `teacher.logits`"
        )


def _require_same_answers(teacher: Parts, student: Parts) -> None:
    """Raise ModelError unless answers behind the prompt of their own template are the same tokens."""
    for answer in ANSWERS:
        ids = _captured(teacher, answer)
        require_same_ids(answer, ids, _learned(student, answer)[: len(ids)])


def _require_k(k: int, shared: int, teacher: Parts, student: Parts) -> None:
    """Raise ModelError if more tokens of a distribution are stored than both models have.

    Models with the same tokenizer share its padding too, as far as both have embeddings; those with other added tokens
    share the first `shared` tokens.
    """
    if tokenizer_hash(teacher.tokenizer) == tokenizer_hash(student.tokenizer):
        shared = min(_embedded(teacher), _embedded(student))
    if k > shared:
        raise ModelError(f"teacher.logits.k is {k}, and {shared} tokens belong to both models: lower `k`")


def _embedded(parts: Parts) -> int:
    """How many tokens a model has: its padding counts."""
    return RowLimits.of(parts.config).embedded or len(parts.tokenizer)


def _require_same_end(teacher: Parts, student: Parts) -> None:
    """Raise ModelError if the teacher would end a sample with a token at which the student goes on."""
    one, other = _end(teacher), _learned(student, PLAIN_ANSWER)[-1:]
    if one != other:
        named = [parts.tokenizer.convert_ids_to_tokens(ids) for parts, ids in ((teacher, one), (student, other))]
        raise ModelError(
            f"the teacher's template ends an answer with {named[0]} and the student's with {named[1]}, so the student "
            "would learn from its samples to go on: give it the teacher's chat template and end token, or use "
            "`signal: text`, or `signal: logits`"
        )


def _require_bytes(sides: Sides) -> None:
    """Raise ModelError unless the bytes of both models' tokens are known: by them, any two answers can be aligned."""
    for parts in (sides.teacher, sides.student):
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


def _row(student: Parts) -> list[int]:
    """The tokens of a row of the student, which the teacher reads if it runs beside it."""
    return encode_example(student.tokenizer, PLAIN, PLAIN_ANSWER, student.ends).ids


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
