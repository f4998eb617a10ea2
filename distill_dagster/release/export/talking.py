"""The models of a project as partners in a conversation: teacher, student, baseline, and the student's exports.

    model_talker(ref, config, 64, responses, "cpu")([{"role": "user", "content": "Which colour is the door?"}])   "red"

All answer greedily, with the messages as they are. An endpoint's replies are stored
with those of the project and paid from its budget, so the same conversation costs nothing the second time.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from distill_dagster.config import DistillConfig, ExportFormat, GenerationConfig
from distill_dagster.errors import ModelError
from distill_dagster.models.ref import ModelRef
from distill_dagster.release.export.asking import ASK
from distill_dagster.release.export.formats import family
from distill_dagster.release.export.specs import RuntimeSpec
from distill_dagster.store.places import Place
from distill_dagster.teachers import open_teacher
from distill_dagster.teachers.asker import Asker, request_hash
from distill_dagster.teachers.budget import Budget, FailureWatch
from distill_dagster.teachers.protocol import Reply, Request
from distill_dagster.teachers.responses import Responses

Messages = Sequence[Mapping[str, str]]
Talker = Callable[[Messages], str]  # a conversation that ends with the user's turn -> the answer


def model_talker(ref: ModelRef, config: DistillConfig, max_new_tokens: int, responses: Place, device: str) -> Talker:
    """A model that runs here, or behind an endpoint."""
    generation = GenerationConfig(max_new_tokens=max_new_tokens)
    teacher = open_teacher(ref, generation, device)

    def talk(messages: Messages) -> str:
        plain = [dict(message) for message in messages]
        request = Request(request_hash(teacher, plain, None, "", 0), plain)
        if ref.endpoint is None:
            replies: list[Reply] = []
            teacher.answer([request], replies.append)
            return said(ref.name, replies[0])
        stored = Responses(responses)
        with stored.journal("chat") as journal:
            budget, watch = Budget(config.teacher.budget_usd, stored), FailureWatch(config.teacher.stop_failed_share)
            asker = Asker(stored, journal, budget, watch, lambda done: None)
            return said(ref.name, asker.ask(teacher, [request], role="chat")[request.request_hash])

    return talk


def said(name: str, reply: Reply) -> str:
    """The text of a reply.

    Raises:
        ModelError: there is none.
    """
    if not reply.ok:
        why = reply.error or reply.error_code or "no answer"
        raise ModelError(f"{name} gave no answer ({why}): ask something shorter, or start again")
    return (reply.text or "").strip()


def export_talker(form: ExportFormat, folder: Path, max_new_tokens: int, max_length: int) -> Talker:
    """An exported student, whose runtime starts for each turn."""

    def talk(messages: Messages) -> str:
        plain = [dict(message) for message in messages]
        spec = RuntimeSpec(folder=str(folder), prompts=[plain], max_new_tokens=max_new_tokens, max_length=max_length)
        (answer,) = ASK[family(form)](spec)
        reply = Reply("", answer.text, answer.finish_reason, error="the conversation does not fit its context")
        return said(form, reply)

    return talk
