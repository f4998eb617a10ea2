"""A model behind an endpoint that speaks OpenAI's chat completions protocol: OpenAI, DeepSeek, vLLM, TGI, ...

    teacher = ApiTeacher(EndpointConfig(url="https://api.deepseek.com/v1", model="deepseek-chat",
                                        api_key="DEEPSEEK_API_KEY"), GenerationConfig())
    teacher.answer([Request("9c01", [{"role": "user", "content": "2 + 2?"}])], record=print)
    # Reply(request_hash='9c01', text='4', finish_reason='stop', prompt_tokens=12, ...)

sending.py sends the requests, and batching/ those of `batch: true`. retries.py says which failures are tried again,
limits.py how fast the account may be asked, body.py what is sent, and completion.py reads what comes back. The tests
run all of it against the servers of testing/fault_server.py and testing/batch_server.py.
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
from distill_dagster.errors import EndpointError
from distill_dagster.teachers.batching.records import Batching
from distill_dagster.teachers.batching.sending import BatchSender
from distill_dagster.teachers.faculty import endpoint_revision
from distill_dagster.teachers.limits import Limits
from distill_dagster.teachers.protocol import Reply, Request
from distill_dagster.teachers.sampling import sampling_params
from distill_dagster.teachers.sending import Sender


class ApiTeacher:
    """A `Teacher` over HTTP.

    The limits carry over from one call of `answer` to the next. Calls from several threads take turns, so `record` must
    not call `answer` of the same teacher.
    """

    def __init__(
        self, endpoint: EndpointConfig, generation: GenerationConfig, batching: Batching | None = None
    ) -> None:
        endpoint = endpoint if batching else endpoint.model_copy(update={"batch": False})
        self._batching = batching
        self._endpoint, self._generation = endpoint, generation
        self._limits = Limits(endpoint, generation.max_new_tokens)
        self._one_call = threading.Lock()
        self.name, self.host = endpoint.model, urlsplit(endpoint.url).hostname
        self.revision = endpoint_revision(endpoint)
        self.identity = {**endpoint.shaping, "revision": self.revision}
        self.sampling = sampling_params(generation, endpoint.parameters)

    def render(self, messages: Sequence[dict[str, str]], response_format: dict[str, Any] | None) -> Any:
        """The messages as they are sent; only the provider knows its chat template."""
        return {"messages": list(messages), "response_format": response_format}

    def count_tokens(self, messages: Sequence[dict[str, str]]) -> int | None:
        """None: the provider's tokenizer is not on this machine."""
        return None

    def dtype(self, device: str) -> str:
        """Only the provider knows it."""
        return "not known"

    def answer(self, requests: Sequence[Request], record: Callable[[Reply], None]) -> None:
        """Send every request; see `Teacher`. Blocks, even if an event loop runs in the calling thread.

        `record` is called in the calling thread, and an interrupt cancels the requests in flight. If an event loop runs
        in that thread, `record` is called in one other thread, and an interrupt waits for the last reply.

        Raises:
            EndpointError: no key; or the endpoint cannot be reached, says that no request can work, or asks for too
                long a wait.
        """
        key = read_key(self._endpoint)
        if not requests:
            return

        async def ask() -> None:
            if self._batching and self._endpoint.batch:
                await BatchSender(self._endpoint, self._generation, self._batching, key, record).run(requests)
            else:
                await Sender(self._endpoint, self._generation, self._limits, key, record).run(requests)

        with self._one_call:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                asyncio.run(ask())
            else:
                with ThreadPoolExecutor(1, "teacher") as pool:
                    pool.submit(contextvars.copy_context().run, asyncio.run, ask()).result()


def read_key(endpoint: EndpointConfig) -> str | None:
    """The key from its environment variable; None if the endpoint needs none.

    Raises:
        EndpointError: the variable is not set, or holds no key.
    """
    if endpoint.api_key is None:
        return None
    key = os.environ.get(endpoint.api_key, "").strip()
    if not key:
        raise EndpointError(
            f"{urlsplit(endpoint.url).hostname}: the key is expected in the environment variable {endpoint.api_key}, "
            f"which is {'empty' if endpoint.api_key in os.environ else 'not set'}: export it, and start again"
        )
    if not (key.isascii() and key.isprintable()):
        raise EndpointError(
            f"{urlsplit(endpoint.url).hostname}: the environment variable {endpoint.api_key} holds characters that no "
            "key has (line breaks or letters outside ASCII): copy the key again"
        )
    return key
