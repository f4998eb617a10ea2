"""What asking an endpoint costs on this side: CPU time a row, and the share of the throughput that latency allows.

The server is a process of its own, so that its CPU time does not count. The bare client is `openai`'s behind a
semaphore, without limits, retries, or anything kept: once over its default transport, which is what most people run,
and once over aiohttp, which is what `ApiTeacher` runs on.

    api_cpu_vs_bare_client            ours / bare over the default transport
    api_cpu_vs_bare_client_aiohttp    ours / bare over ours
    api_share_of_ideal                at a latency of 1 s: (rows / 64 x 1 s) / wall time, set-up included
"""

import asyncio
import statistics
import time
from collections.abc import Callable

import openai

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.teachers.endpoint import ApiTeacher
from distill_dagster.teachers.protocol import Reply, Request
from testing.fault_server import FaultServer

IN_FLIGHT = 64
ROUNDS = 5
CPU_ROWS, CPU_LATENCY_S = 640, 0.2
IDEAL_ROWS, IDEAL_LATENCY_S = 1280, 1.0
GENERATION = GenerationConfig(max_new_tokens=64)
PROMPT = (
    "Premise: the {n} children play in the park. Hypothesis: they are outside. Entailment, neutral or contradiction?"
)


def questions(rows: int) -> list[Request]:
    """So many different prompts of a usual length."""
    return [Request(f"{n:064x}", [{"role": "user", "content": PROMPT.format(n=n)}]) for n in range(rows)]


def ask_ours(url: str, asked: list[Request]) -> None:
    """Through the teacher."""
    replies: list[Reply] = []
    endpoint = EndpointConfig(url=url, model="made", concurrency=IN_FLIGHT)
    ApiTeacher(endpoint, GENERATION).answer(asked, replies.append)
    assert len(replies) == len(asked)
    assert all(reply.ok for reply in replies)


def bare(transport: Callable[[], openai.AsyncOpenAI]) -> Callable[[str, list[Request]], None]:
    """Through `openai`'s client and a semaphore."""

    async def ask(url: str, asked: list[Request]) -> None:
        semaphore = asyncio.Semaphore(IN_FLIGHT)
        async with transport().copy(base_url=url) as client:

            async def one(question: Request) -> str | None:
                async with semaphore:
                    reply = await client.chat.completions.create(
                        model="made", messages=question.messages, temperature=0, max_tokens=64, n=1
                    )
                    return reply.choices[0].message.content

            assert all(await asyncio.gather(*map(one, asked)))

    return lambda url, asked: asyncio.run(ask(url, asked))


ask_bare = bare(lambda: openai.AsyncOpenAI(api_key="none", max_retries=0))
ask_bare_aiohttp = bare(
    lambda: openai.AsyncOpenAI(api_key="none", max_retries=0, http_client=openai.DefaultAioHttpClient())
)


def cpu_ms_a_row(ask: Callable[[str, list[Request]], None], url: str) -> float:
    """CPU time of this process, all threads."""
    asked, started = questions(CPU_ROWS), time.process_time()
    ask(url, asked)
    return (time.process_time() - started) * 1000 / CPU_ROWS


def measure() -> dict[str, float]:
    """Milliseconds of CPU a row (medians of alternating rounds), their ratios, and the share of the ideal."""
    ways = (ask_ours, ask_bare, ask_bare_aiohttp)
    with FaultServer() as server:
        for ask in ways:  # imports, and the first use of everything
            ask(server.url, questions(2 * IN_FLIGHT))
        server.script(latency=CPU_LATENCY_S)
        rounds = [[cpu_ms_a_row(ask, server.url) for ask in ways] for _ in range(ROUNDS)]
        ours, default, aiohttp = (statistics.median(column) for column in zip(*rounds, strict=True))
        server.script(latency=IDEAL_LATENCY_S)
        started = time.perf_counter()
        ask_ours(server.url, questions(IDEAL_ROWS))
        seconds = time.perf_counter() - started
    return {
        "api_cpu_ms_per_row": ours,
        "api_bare_client_cpu_ms_per_row": default,
        "api_bare_client_aiohttp_cpu_ms_per_row": aiohttp,
        "api_cpu_vs_bare_client": ours / default,
        "api_cpu_vs_bare_client_aiohttp": ours / aiohttp,
        "api_share_of_ideal": IDEAL_ROWS / IN_FLIGHT * IDEAL_LATENCY_S / seconds,
    }
