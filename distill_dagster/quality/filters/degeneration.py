"""Filters against answers that are no work on the question: loops, the prompt said back, the model on itself.

    "I do. I do. I do. I do."                              repetition
    asked "Sum up: The cat sat on the mat today."
    answer "Sum up: The cat sat on the mat today."         echo
    "As an AI language model, I think it is 4."            self_reference

None of them looks at how an answer reads: on short correct answers the quality filters of web text refuse a third or
more. docs/quality.md shows each of these against gold.
"""

import re
from itertools import groupby

from distill_dagster.quality.duplicates.prompt_keys import bare, fold
from distill_dagster.quality.filters.candidate import Candidate
from distill_dagster.tasks import Task
from distill_dagster.tasks.labels import normal_label

LOOP = 4  # identical sentences or lines in a row
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
ECHO_WORDS = 5  # "Good morning!" back is a greeting
ECHO_SHARE = 0.9  # of the longer of both texts

SELF = r"(?:ai|artificial intelligence)(?: language)? (?:model|assistant|system)|(?:large )?language model"
SELF_REFERENCES = re.compile(
    rf"\bas an? ai language model\b|\bas an? (?:{SELF}|ai),? (?:i|my)\b"
    rf"|\bi(?: am|['’]m) (?:just |only |merely )?an? (?:{SELF})\b"
    r"|\bmy (?:knowledge cut-?off|training data|last knowledge update)\b",
    re.IGNORECASE,
)
ON_MODELS = re.compile(
    r"\b(?:ai|a\.i\.|artificial intelligence|language models?|llms?|chat ?bots?|chatgpt|gpt|robots?|assistants?"
    r"|machine learning|neural networks?|training data|trained on)\b",
    re.IGNORECASE,
)


def repetition(candidate: Candidate) -> str | None:
    """`LOOP` identical sentences or lines stand in a row; ones without a letter or digit are layout."""
    parts = SENTENCE_END.split(candidate.text)
    if len(parts) < LOOP:
        return None
    said = (fold(part) for part in parts if any(map(str.isalnum, part)))
    return "repetition" if any(len(list(run)) >= LOOP for _, run in groupby(said)) else None


def echo(candidate: Candidate) -> str | None:
    """The answer is one of the messages said back, give or take a tenth of its words, and no gold answer.

    A span of a passage is shorter than that. An answer that repeats the question and then answers it is none, where the
    task has one right answer and what is added holds one. Labels are exempt: a text may be the label's own words.
    """
    if candidate.task.labelled or candidate.text.count(" ") < ECHO_WORDS - 1:
        return None
    said = bare(candidate.text)
    size = said.count(" ") + 1
    if size < ECHO_WORDS or normal_label(candidate.text) in {normal_label(text) for text in candidate.reference}:
        return None
    return "echo" if any(_says_back(candidate.task, said, size, text) for text in candidate.asked) else None


def _says_back(task: Task, said: str, size: int, asked: str) -> bool:
    """Whether one text holds the other, and is hardly longer; what an answer says beyond that is no answer."""
    if not 0.5 < len(asked) / len(said) < 2:  # cheap, before anything is normalised
        return False
    own = bare(asked)
    longer, shorter = max(size, own.count(" ") + 1), min(size, own.count(" ") + 1)
    if shorter < ECHO_SHARE * longer:
        return False
    if f" {own} " not in f" {said} ":
        return f" {said} " in f" {own} "
    return not task.exact or task.parse(f" {said} ".replace(f" {own} ", " ", 1), None) is None


def self_reference(candidate: Candidate) -> str | None:
    """The answer, or a reasoning that is taught, speaks of itself as a model, unless the row itself is about such."""
    spoken = candidate.text, candidate.reading.reasoning or "" if candidate.reasoning_needed else ""
    if not any(SELF_REFERENCES.search(text) for text in spoken):
        return None
    about = (message["content"] for message in candidate.raw.get("messages") or () if message["role"] == "user")
    return None if any(ON_MODELS.search(text) for text in (*about, *candidate.reference)) else "self_reference"
