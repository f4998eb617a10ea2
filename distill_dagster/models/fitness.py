"""Checks a model and its tokenizer against each other and against their use, before anything is paid or trained.

No weights are loaded: the config, the tokenizer and the small files of the model's folder say enough.

    problems(ModelConfig(name="/models/lora"), Use())
    ["/models/lora holds an adapter of meta-llama/Llama-3.2-1B and not a model: merge it into its base …"]

`teacher_model` checks the teachers and the student, `student_base` checks the student, and `project_problems` checks
all models that a config names.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from distill_dagster.config import DistillConfig, ModelConfig, Section
from distill_dagster.errors import ModelError
from distill_dagster.models.answer_text import answer_text
from distill_dagster.models.frames import PLAIN, PLAIN_ANSWER, RenderError, opening_of
from distill_dagster.models.gguf_file import read_gguf_config, read_gguf_tokenizer
from distill_dagster.models.outline import source_of
from distill_dagster.models.own_code import refuse_own_code
from distill_dagster.models.pinning import count_parameters
from distill_dagster.models.ref import ModelRef
from distill_dagster.models.rendering import encode, encode_example, end_ids, render_prompt
from distill_dagster.models.row_limits import RowLimits, longest_row
from distill_dagster.models.stored_forms import stored_form_problem
from distill_dagster.models.tokenizer import open_config, open_tokenizer, prepare_tokenizer, stated_ends

Messages = Sequence[Mapping[str, str]]
SHORTEST_PROMPT = 3  # tokens of a new model's prompt: role, text, role


class Use(Section):
    """What a model is used for; lengths are in tokens."""

    trains: bool = False  # it is fitted, or it is the student
    max_length: int | None = None  # the longest row that it trains on
    new_tokens: int | None = None  # the longest answer that it is asked for
    prompt_date: date | None = None  # the date that its chat template writes


@dataclass(frozen=True, slots=True)
class Parts:
    """A model without its weights."""

    name: str
    config: Any
    tokenizer: Any
    ends: list[int]


def require_fit(model: ModelConfig | ModelRef, use: Use, label: str = "", messages: Messages = PLAIN) -> None:
    """Raise ModelError with all problems of a model; `label` says which one it is, such as `student.model`."""
    if found := problems(model, use, messages):
        raise ModelError("; ".join(f"{label}: {problem}" if label else problem for problem in found))


def project_problems(config: DistillConfig, messages: Messages = PLAIN) -> list[str]:
    """The problems of all models that a project runs here, each with the field that names the model.

    `messages` are those of a row: every model has to render them.
    """
    return [
        f"{label}: {problem}" for label, model, use in _models_of(config) for problem in problems(model, use, messages)
    ]


def problems(model: ModelConfig | ModelRef, use: Use, messages: Messages = PLAIN) -> list[str]:
    """What makes a model unfit for its use, each with the way out; [] for one behind an endpoint."""
    try:
        if isinstance(model, ModelRef):
            return [] if model.endpoint else list(_folder_problems(Path(model.path), use, messages))
        if model.name is None:
            return list(_new_problems(model, use))
        source, is_local = source_of(model)
        if source.is_file():
            return list(_part_problems(open_parts(source, use.prompt_date), use, messages))
        return list(_folder_problems(source, use, messages, weights_here=is_local))
    except ModelError as e:
        return [str(e)]


def parts_of(model: ModelConfig, prompt_date: date | None) -> Parts | None:
    """An existing model without its weights; None for one that is still to be made.

    Raises:
        ModelError: it is not there, or cannot be read.
    """
    if model.name is None:
        return None
    source, _ = source_of(model)
    if not source.exists():
        raise ModelError(_not_there(source))
    return open_parts(source, prompt_date)


def open_parts(source: Path, prompt_date: date | None) -> Parts:
    """A model without its weights, from its folder or its GGUF file."""
    if source.is_file():
        config = read_gguf_config(source)
        tokenizer = prepare_tokenizer(read_gguf_tokenizer(source), config, source, prompt_date)
        return Parts(str(source), config, tokenizer, end_ids(tokenizer, config))
    config, tokenizer = open_config(source), open_tokenizer(source, prompt_date)
    return Parts(str(source), config, tokenizer, stated_ends(source, config, tokenizer))


def teacher_use(config: DistillConfig) -> Use:
    """What the teachers of a project are for."""
    fit, asked = config.teacher.fit, config.teacher.generation.max_new_tokens
    longest = fit.max_length if fit else None
    return Use(trains=fit is not None, max_length=longest, new_tokens=asked, prompt_date=config.prompt_date)


def student_use(config: DistillConfig) -> Use:
    """What the student of a project is for."""
    training = config.student.training
    longest = training.max_length
    asked = config.evaluation.max_new_tokens or config.teacher.generation.max_new_tokens
    if training.signal == "on_policy":
        asked = max(asked, training.rounds.max_new_tokens or config.teacher.generation.max_new_tokens)
    return Use(trains=True, max_length=longest, new_tokens=asked, prompt_date=config.prompt_date)


def _models_of(config: DistillConfig) -> Iterator[tuple[str, ModelConfig, Use]]:
    """Every model that runs here, with the field that names it and its use."""
    teacher, use = config.teacher, teacher_use(config)
    best_of = [*teacher.best_of.teachers, teacher.best_of.judge] if teacher.best_of else []
    if teacher.model:
        yield "teacher.model", teacher.model, use
    for name, sources in (("teacher.mix", teacher.mix), ("teacher.best_of", best_of)):
        for source in sources:
            if source and source.model:
                yield name, source.model, use.model_copy(update={"trains": False})
    if config.student.model:
        yield "student.model", config.student.model, student_use(config)
    elif teacher.model:
        yield "student.init", teacher.model, student_use(config)


def _new_problems(model: ModelConfig, use: Use) -> Iterator[str]:
    """The problems of a model that is made from its architecture: there is no tokenizer yet."""
    from transformers import AutoConfig

    name = str(model.architecture)
    try:
        config = AutoConfig.for_model(name, **model.settings)
        longest = longest_row(config)
    except Exception:  # noqa: BLE001 - building the model reports what is wrong with the settings
        return
    yield from _length_problems(name, longest, use)
    yield from _context_problems(name, config, SHORTEST_PROMPT, use)


def _not_there(folder: Path) -> str:
    return f"model folder {folder} does not exist; correct `model.name`, or name a model on the hub"


def _folder_problems(folder: Path, use: Use, messages: Messages, *, weights_here: bool = True) -> Iterator[str]:
    """The problems of a model's folder. After one that hides all others, no more are looked for."""
    if not folder.is_dir():
        yield _not_there(folder)
        return
    if form := stored_form_problem(folder, trains=use.trains):
        yield form
        return
    refuse_own_code(folder)
    if weights_here:
        count_parameters(folder)
    yield from _part_problems(open_parts(folder, use.prompt_date), use, messages)


def _part_problems(parts: Parts, use: Use, messages: Messages) -> Iterator[str]:
    if not parts.ends:
        yield (
            f"{parts.name} names no token that ends an answer: set `eos_token` in its tokenizer_config.json, or "
            "`eos_token_id` in its generation_config.json"
        )
    yield from _token_problems(parts)
    yield from _length_problems(parts.name, longest_row(parts.config), use)
    if parts.ends:
        yield from _row_problems(parts, use, messages)


def _token_problems(parts: Parts) -> Iterator[str]:
    """Ordinary tokens and end tokens that the model has no embedding for. Added ones that no row has do no harm."""
    size, tokenizer = RowLimits.of(parts.config).embedded, parts.tokenizer
    if size is None:
        return
    added = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special} - set(parts.ends)
    beyond = {i: token for token, i in tokenizer.get_vocab().items() if i >= size and i not in added}
    if beyond:
        first = min(beyond)
        yield (
            f"{parts.name}: the tokenizer has {len(tokenizer):,} tokens and the model embeddings for {size:,}, so that "
            f"{len(beyond):,} such as {beyond[first]!r} ({first}) have none: use the tokenizer that belongs to the "
            "model, or call `model.resize_token_embeddings(len(tokenizer))` and save the model again"
        )


def _length_problems(name: str, longest: int | None, use: Use) -> Iterator[str]:
    if longest is not None and use.max_length is not None and use.max_length > longest:
        yield (
            f"`training.max_length` is {use.max_length:,} and {name} has positions for {longest:,} tokens: "
            f"set `max_length: {longest}` or less, or use a model with a longer context"
        )


def _row_problems(parts: Parts, use: Use, messages: Messages) -> Iterator[str]:
    """Whether the template renders a row, its tokens are its text again, and there is room for its answer."""
    try:
        prompt = encode(parts.tokenizer, render_prompt(parts.tokenizer, messages))
        ids = encode_example(parts.tokenizer, messages, PLAIN_ANSWER, parts.ends).ids if use.trains else []
    except RenderError as e:
        yield f"{parts.name}: {e}"
        return
    limits = RowLimits.of(parts.config)
    if not limits.reads([*prompt, *ids]):
        yield (
            f"{parts.name}: its chat template writes token {max(*prompt, *ids):,} and the model has embeddings for "
            f"{limits.embedded:,}: call `model.resize_token_embeddings(len(tokenizer))` and save the model again"
        )
    if use.trains and (text := _again(parts.tokenizer, ids[len(prompt) :])) != PLAIN_ANSWER:
        yield (
            f"{parts.name}: the tokens of the answer {PLAIN_ANSWER!r} are the text {text!r} again, so it cannot be "
            "learned: use the tokenizer that belongs to the model"
        )
    yield from _context_problems(parts.name, parts.config, len(prompt), use)


def _again(tokenizer: Any, answer: Sequence[int]) -> str:
    """The text of an answer's tokens, as it is read from a model that generates them."""
    opening = opening_of(tokenizer)
    return answer_text(tokenizer, answer, opening).removeprefix(opening).strip()


def _context_problems(name: str, config: Any, prompt: int, use: Use) -> Iterator[str]:
    """Whether a prompt of so many tokens and the longest answer fit the context."""
    context = getattr(config, "max_position_embeddings", None)
    if use.new_tokens and context and prompt + use.new_tokens > context:
        yield (
            f"{name} has a context of {context:,} tokens, and a prompt of {prompt:,} with `max_new_tokens: "
            f"{use.new_tokens}` does not fit: lower `max_new_tokens`, or use a model with a longer context"
        )
