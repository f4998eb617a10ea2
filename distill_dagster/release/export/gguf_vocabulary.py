"""The tokenizer of a GGUF file: tokens, merges, markers, and the name of llama.cpp's splitting rule.

llama.cpp has no regular expressions in its files. It knows some splitting rules by name, and a wrong name gives other
tokens for the same text without an error. tokenizer.json spells the rule out, and the name follows from it:

    {"type": "ByteLevel", "use_regex": true}                                        gpt-2     this package's own
    [{"type": "Digits", "individual_digits": true}, {"type": "ByteLevel", …}]       smollm    SmolLM
    [{"type": "Split", "pattern": {"Regex": LLAMA_3}}, {"type": "ByteLevel", …}]    llama-bpe Llama 3
    [{"type": "Split", "pattern": {"Regex": QWEN_2}}, {"type": "ByteLevel", …}]     qwen2     Qwen 2, 2.5 and 3

The rules and their names are those of llama.cpp's src/llama-vocab.cpp.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distill_dagster.errors import ModelError
from distill_dagster.models.frames import PLAIN
from distill_dagster.models.rendering import encode, render_prompt

SUFFIXES = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA_3, QWEN_2 = SUFFIXES + r"\p{N}{1,3}" + REST, SUFFIXES + r"\p{N}" + REST
SPLITS = {LLAMA_3: "llama-bpe", QWEN_2: "qwen2"}
WHOLE_WORDS = ("llama-bpe",)  # rules under which a word that is a token is never merged from parts
MARKERS = ("eos", "eot", "eom")  # the tokens that end an answer: llama.cpp has three places for them
OTHER_WAYS = "export to `onnx_…`, or convert the student with the tools of llama.cpp"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a GGUF file says of a tokenizer."""

    rule: str
    tokens: list[str]  # one for each row of the embedding; ids without a token get a name of their own
    kinds: list[int]  # gguf.TokenType of each
    merges: list[str]
    markers: dict[str, int]  # bos, pad, and those of MARKERS
    adds_bos: bool
    template: str


def splitting_rule(tokenizer: Any) -> str:
    """llama.cpp's name for the way in which a tokenizer splits text.

    Raises:
        ModelError: llama.cpp has no such rule, or it is not a byte-level BPE.
    """
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    model, normalizer = state["model"], state["normalizer"]
    if model["type"] != "BPE" or model.get("byte_fallback") or model.get("dropout"):
        raise ModelError(f"its tokenizer is {model['type']} and no byte-level BPE, which GGUF needs here: {OTHER_WAYS}")
    if normalizer and normalizer["type"] != "NFC":  # of NFC, the prompts of the test rows show whether it matters
        raise ModelError(f"its tokenizer rewrites text ({normalizer['type']}), and llama.cpp does not: {OTHER_WAYS}")
    rule = _rule_of(state["pre_tokenizer"])
    if rule is None or bool(model.get("ignore_merges")) != (rule in WHOLE_WORDS):
        raise ModelError(f"its tokenizer splits text in a way for which llama.cpp has no name: {OTHER_WAYS}")
    return rule


def _rule_of(pre_tokenizer: dict[str, Any] | None) -> str | None:
    """The name of a `pre_tokenizer` of tokenizer.json; None if it has none."""
    steps = [pre_tokenizer] if pre_tokenizer else []
    if pre_tokenizer and pre_tokenizer["type"] == "Sequence":
        steps = pre_tokenizer["pretokenizers"]
    if not steps or steps[-1]["type"] != "ByteLevel" or steps[-1].get("add_prefix_space"):
        return None
    splits = steps[-1].get("use_regex", True)
    match steps[:-1]:
        case []:
            return "gpt-2" if splits else None
        case [{"type": "Digits", "individual_digits": True}]:
            return "smollm" if splits else None
        case [{"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}]:
            return None if splits else SPLITS.get(regex)
    return None


def vocabulary_of(tokenizer: Any, size: int, ends: Sequence[int]) -> Vocabulary:
    """The tokenizer of a model with `size` embeddings, whose answers end with one of `ends`.

    Raises:
        ModelError: it cannot be written for llama.cpp.
    """
    import gguf

    rule, state = splitting_rule(tokenizer), json.loads(tokenizer.backend_tokenizer.to_str())
    tokens = [f"[PAD{i}]" for i in range(size)]
    kinds = [int(gguf.TokenType.UNUSED)] * size
    added = tokenizer.added_tokens_decoder
    for token, i in tokenizer.get_vocab().items():
        if i < size:  # an added token without an embedding is never written
            special = i in added and added[i].special
            kind = gguf.TokenType.CONTROL if special else gguf.TokenType.USER_DEFINED if i in added else None
            tokens[i], kinds[i] = token, int(kind or gguf.TokenType.NORMAL)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in state["model"]["merges"]]
    return Vocabulary(
        rule, tokens, kinds, merges, _markers(tokenizer, ends), _adds_bos(tokenizer), template_of(tokenizer)
    )


def end_problem(tokenizer: Any, ends: Sequence[int]) -> str | None:
    """Why llama.cpp could not end answers where the model does; None if it can."""
    count = len(_ends(tokenizer, ends))
    return (
        f"{count} tokens end its answers, and a GGUF file has room for {len(MARKERS)}" if count > len(MARKERS) else None
    )


def _ends(tokenizer: Any, ends: Sequence[int]) -> list[int]:
    """The end tokens, that of the tokenizer first: llama.cpp gives it to the chat template."""
    own = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
    return list(dict.fromkeys([*own, *ends]))


def _markers(tokenizer: Any, ends: Sequence[int]) -> dict[str, int]:
    if problem := end_problem(tokenizer, ends):
        raise ModelError(f"{problem}: {OTHER_WAYS}")
    found = dict(zip(MARKERS, _ends(tokenizer, ends), strict=False))
    # without a bos, llama.cpp takes token 11 for it, whichever that is
    bos = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else found["eos"]
    pad = {"pad": tokenizer.pad_token_id} if tokenizer.pad_token_id is not None else {}
    return {"bos": bos, **found, **pad}


def _adds_bos(tokenizer: Any) -> bool:
    """Whether a prompt begins with bos; llama.cpp then drops the one that the template has written."""
    ids = encode(tokenizer, render_prompt(tokenizer, PLAIN))
    return tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id]


def template_of(tokenizer: Any) -> str:
    """The chat template with which the student was trained, for a runtime that knows nothing of our options.

    It writes the project's date (models/dates.py), and no long thought where Qwen3's would.
    """
    template = str(tokenizer.chat_template)
    return "{%- set enable_thinking = false -%}" + template if "enable_thinking" in template else template
