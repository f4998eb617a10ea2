"""Asks a student in onnxruntime-genai's format, in a process that does nothing else.

python -m distill_dagster.release.export.onnx_answers < spec.json > answers.jsonl
"""

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from distill_dagster.process import end_with_parent
from distill_dagster.release.export.children import run_module
from distill_dagster.release.export.specs import ExportedAnswer, RuntimeSpec

# Without a seed, onnxruntime-genai draws 624 numbers from the C++ random device before each answer, though greedy
# decoding uses none: 14.5 ms where the processor's RDSEED fails and libstdc++ retries; the answer took 0.2 ms.
GREEDY: Mapping[str, Any] = {"do_sample": False, "random_seed": 0}


def ask_onnx(spec: RuntimeSpec) -> Iterator[ExportedAnswer]:
    """The answer to each prompt, in order.

    Raises:
        ComputeError: the process failed.
    """
    said = run_module(__name__, [], f"asking {spec.folder} with onnxruntime-genai", spec.model_dump_json())
    for line in said.splitlines():
        yield ExportedAnswer.model_validate_json(line)


def _answer(model: Any, tokenizer: Any, messages: Sequence[Mapping[str, str]], spec: RuntimeSpec) -> ExportedAnswer:
    og, start = library(), time.perf_counter()
    prompt = prompt_tokens(tokenizer, messages)
    if len(prompt) + spec.max_new_tokens > spec.max_length:
        return ExportedAnswer(prompt=prompt, text="", finish_reason="error")
    parameters = og.GeneratorParams(model)
    parameters.set_search_options(max_length=len(prompt) + spec.max_new_tokens, **GREEDY)
    generator = og.Generator(model, parameters)
    generator.append_tokens(prompt)
    answer: list[int] = []  # its sequence leaves out the token that ends it
    while not generator.is_done():
        generator.generate_next_token()
        answer.append(int(generator.get_next_tokens()[0]))
    stopped = answer[-1] in set(tokenizer.eos_token_ids)
    words = tokenizer.decode(answer[:-1] if stopped else answer)
    elapsed = (time.perf_counter() - start) * 1000
    return ExportedAnswer(
        prompt=prompt,
        text=words,
        finish_reason="stop" if stopped else "length",
        completion_tokens=len(answer),
        latency_ms=round(elapsed, 3),
    )


def prompt_tokens(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """A prompt's tokens, as onnxruntime-genai's own template engine and tokenizer make them."""
    text = tokenizer.apply_chat_template(json.dumps(messages, allow_nan=False), add_generation_prompt=True)
    return [int(token) for token in tokenizer.encode(text)]


def library() -> Any:
    """onnxruntime-genai, whose names are those of a compiled module, so that pyright finds none."""
    import onnxruntime_genai

    return onnxruntime_genai


def main() -> int:
    """Read a `RuntimeSpec` from stdin and print an `ExportedAnswer` a line; all other output goes to stderr."""
    end_with_parent()
    spec = RuntimeSpec.model_validate_json(sys.stdin.read())
    with contextlib.redirect_stdout(sys.stderr):
        og = library()
        model = og.Model(spec.folder)
        tokenizer = og.Tokenizer(model)
        answers = [_answer(model, tokenizer, messages, spec) for messages in spec.prompts]
    for answer in answers:
        print(answer.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
