"""A teacher behind an endpoint that speaks OpenAI's chat completions protocol: OpenAI, DeepSeek, vLLM, TGI, ...

    teacher = ApiTeacher(EndpointConfig(url="https://api.deepseek.com/v1", model="deepseek-chat",
                                        api_key="DEEPSEEK_API_KEY"), GenerationConfig())
    teacher.answer([Question("9c01", [{"role": "user", "content": "2 + 2?"}])], record=print)
    # Reply(request_hash='9c01', text='4', finish_reason='stop', prompt_tokens=12, ...)

How requests are sent stands in asking.py, which failures are asked again in retries.py, how fast in limits.py, and the
protocol in completion.py. Tests run all of it against the server of tests/fault_server.py.
"""

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.config.teacher import SHAPING
from distill_dagster.errors import TeacherError
from distill_dagster.teachers.endpoint_identity import revision_of
from distill_dagster.teachers.limits import Limits
from distill_dagster.teachers.protocol import Question, Reply
from distill_dagster.teachers.sending import Asking


class ApiTeacher:
    """A `Teacher` over HTTP.

    Its limits hold for one call of `answer` after the other; calls from several threads take turns, so `record` must
    not call `answer` of the same teacher.
    """

    def __init__(self, endpoint: EndpointConfig, generation: GenerationConfig) -> None:
        self._endpoint, self._generation = endpoint, generation
        self._limits = Limits(endpoint, generation.max_new_tokens)
        self._one_call = threading.Lock()
        self.name = endpoint.model
        self.revision = endpoint.revision or revision_of(endpoint)
        self.identity = {**endpoint.model_dump(include=SHAPING), "revision": self.revision}

    def render(self, messages: Sequence[dict[str, str]], response_format: dict[str, Any] | None) -> Any:
        """What is sent: the provider's template is not known here."""
        return {"messages": list(messages), "response_format": response_format}

    def count_tokens(self, messages: Sequence[dict[str, str]]) -> int | None:
        """Not known: the provider's tokenizer is not here."""
        return None

    def dtype(self, device: str) -> str:
        """Not known."""
        return "not known"

    def answer(self, questions: Sequence[Question], record: Callable[[Reply], None]) -> None:
        """Ask every question; see `Teacher`. Blocks, also where an event loop runs in the calling thread.

        `record` is called in the calling thread, or where an event loop runs there, always in the same other one
        (an interrupt then waits for the last reply; otherwise it cancels what is in flight).

        Raises:
            TeacherError: no key; or the endpoint answers 401, 402, 403, 404, or that the account's quota is used up.
        """
        key = _read_key(self._endpoint)
        if not questions:
            return

        async def ask() -> None:
            await Asking(self._endpoint, self._generation, self._limits, key, record).run(questions)

        with self._one_call:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                asyncio.run(ask())
            else:
                with ThreadPoolExecutor(1, "teacher") as pool:
                    pool.submit(contextvars.copy_context().run, asyncio.run, ask()).result()


def _read_key(endpoint: EndpointConfig) -> str | None:
    """The key from its environment variable; None where the endpoint needs none."""
    if endpoint.api_key is None:
        return None
    key = os.environ.get(endpoint.api_key, "").strip()
    if not key:
        raise TeacherError(
            f"{urlsplit(endpoint.url).hostname}: the key is expected in the environment variable {endpoint.api_key}, "
            f"which is {'empty' if endpoint.api_key in os.environ else 'not set'}: export it, and start again"
        )
    if not (key.isascii() and key.isprintable()):
        raise TeacherError(
            f"{urlsplit(endpoint.url).hostname}: the environment variable {endpoint.api_key} holds characters that no "
            "key has (line breaks or letters outside ASCII): copy the key again"
        )
    return key
