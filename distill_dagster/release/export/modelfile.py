"""The Modelfile with which `ollama create` takes a GGUF file: template, stop tokens, context, greedy decoding.

    FROM ./student.gguf
    TEMPLATE \"\"\"{{ range .Messages }}{{ if eq .Role "user" }}{{ "<|user|>" }}{{ .Content }}…\"\"\"
    PARAMETER stop "<|end|>"

Ollama's templates are Go's, not Jinja's. Where a chat template writes turn after turn, each between two texts that
depend on its role alone, a Go template does the same; whether it does is tried on conversations. For any other template
no Modelfile is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_dagster.models.frames import render
from distill_dagster.models.rendering import RenderError, render_prompt
from distill_dagster.release.export.gguf_vocabulary import Vocabulary

Messages = Sequence[Mapping[str, str]]
QUESTION, SYSTEM, ANSWER = "Which colour?", "Be brief.", "red"


@dataclass(frozen=True, slots=True)
class Turns:
    """A chat template as texts: what begins a prompt, what is around the content of each role, what opens an answer."""

    begins: str
    around: dict[str, tuple[str, str]]
    opens: str

    def prompt(self, messages: Messages) -> str:
        """The prompt that the Go template writes."""
        turns = [self.around[m["role"]][0] + m["content"] + self.around[m["role"]][1] for m in messages]
        return self.begins + "".join(turns) + self.opens

    def as_go(self, drop: str) -> str:
        """The Go template; `drop` is the token that llama.cpp puts before the prompt itself, or ""."""
        turns = [
            f'{{{{ if eq .Role "{role}" }}}}{_go(before)}{{{{ .Content }}}}{_go(after)}{{{{ end }}}}'
            for role, (before, after) in self.around.items()
        ]
        begins = _go(self.begins.removeprefix(drop))
        return f"{begins}{{{{ range .Messages }}}}{''.join(turns)}{{{{ end }}}}{_go(self.opens)}"


def _go(text: str) -> str:
    """A text in a Go template; braces are written as a value, since two of them open an action."""
    return '{{ "' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '" }}' if text else ""


def turns_of(tokenizer: Any) -> Turns | None:
    """The chat template as turns; None if it writes conversations in another way."""
    user = [{"role": "user", "content": QUESTION}]
    system, answered = {"role": "system", "content": SYSTEM}, [{"role": "assistant", "content": ANSWER}, *user]
    conversations = [user, [system, *user], [*user, *answered], [system, *user, *answered, *answered]]
    try:
        prompts = [render_prompt(tokenizer, messages) for messages in conversations]
        closed = render(tokenizer, user, generate=False)
    except RenderError:
        return None
    head = prompts[0].partition(QUESTION)[0]
    for begins in dict.fromkeys(["", tokenizer.bos_token or "", *(head[:n] for n in range(len(head)))]):
        found = _parsed(begins, closed, *prompts[:3])
        if found and all(found.prompt(m) == text for m, text in zip(conversations, prompts, strict=True)):
            return found
    return None


def _parsed(begins: str, closed: str, one: str, with_system: str, three: str) -> Turns | None:
    """Turns, if every prompt begins with `begins`: from a question, closed and as a prompt, and two more prompts.

    These are of a system message and a question, and of question, answer and question.
    """
    head, _, user_closes = closed.partition(QUESTION)
    user_opens = head.removeprefix(begins)
    before_system, _, after_system = with_system.partition(QUESTION)[0].partition(SYSTEM)
    before_answer, _, after_answer = three.partition(QUESTION)[2].partition(QUESTION)[0].partition(ANSWER)
    parts = ((head, begins, ""), (before_system, begins, ""), (after_system, "", user_opens))
    more = ((before_answer, user_closes, ""), (after_answer, "", user_opens), (one, closed, ""))
    if not all(text.startswith(start) and text.endswith(end) for text, start, end in (*parts, *more)):
        return None
    return Turns(
        begins,
        {
            "system": (before_system.removeprefix(begins), after_system.removesuffix(user_opens)),
            "user": (user_opens, user_closes),
            "assistant": (before_answer.removeprefix(user_closes), after_answer.removesuffix(user_opens)),
        },
        one.removeprefix(closed),
    )


def modelfile(file: str, tokenizer: Any, vocabulary: Vocabulary, max_length: int) -> str | None:
    """The text of the Modelfile; None if the chat template cannot be written as Ollama's."""
    turns = turns_of(tokenizer)
    if turns is None:
        return None
    bos = vocabulary.tokens[vocabulary.markers["bos"]] if vocabulary.adds_bos else ""
    ends = dict.fromkeys(vocabulary.tokens[i] for name, i in vocabulary.markers.items() if name not in ("bos", "pad"))
    return "\n".join(
        [
            f"FROM ./{file}",
            f'TEMPLATE """{turns.as_go(bos)}"""',
            *(f'PARAMETER stop "{end}"' for end in ends),
            "PARAMETER temperature 0",
            f"PARAMETER num_ctx {max_length}",
            "",
        ]
    )
