"""Filters against degenerate answers: loops, repetitions of the prompt, and remarks of the model on itself.

    "I do. I do. I do. I do."                              repetition
    asked "Sum up: The cat sat on the mat today."
    answer "Sum up: The cat sat on the mat today."         echo
    "As an AI language model, I think it is 4."            self_reference

None of them judges style: quality filters made for web text refuse a third or more of short correct answers.
docs/quality.md compares each of these filters with gold answers.
"""

import re
from itertools import groupby

from distill_dagster.quality.duplicates.prompt_keys import bare, fold
from distill_dagster.quality.filters.candidate import Candidate
from distill_dagster.tasks import Task
from distill_dagster.tasks.labels import normal_label

LOOP = 4  # identical sentences or lines in a row
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
ECHO_WORDS = 5  # fewest words of an echo: "Good morning!" in reply is a greeting
ECHO_SHARE = 0.9  # of the words of the longer text

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
    """`LOOP` sentences or lines in a row are identical; parts without a letter or digit are layout and do not count."""
    parts = SENTENCE_END.split(candidate.text)
    if len(parts) < LOOP:
        return None
    said = (fold(part) for part in parts if any(map(str.isalnum, part)))
    return "repetition" if any(len(list(run)) >= LOOP for _, run in groupby(said)) else None


def echo(candidate: Candidate) -> str | None:
    """The answer repeats one of the messages, give or take a tenth of its words, and is not a gold answer.

    A span quoted from a passage is shorter than that. In a task with one right answer, an answer that repeats the
    prompt and then adds an answer is no echo. Labels are exempt, because a text may consist of the label's own words.
    """
    if candidate.task.labelled or candidate.text.count(" ") < ECHO_WORDS - 1:
        return None
    said = bare(candidate.text)
    size = said.count(" ") + 1
    if size < ECHO_WORDS or normal_label(candidate.text) in {normal_label(text) for text in candidate.reference}:
        return None
    return "echo" if any(_says_back(candidate.task, said, size, text) for text in candidate.asked) else None


def _says_back(task: Task, said: str, size: int, asked: str) -> bool:
    """Whether one text contains the other, is hardly longer, and adds no answer to it."""
    if not 0.5 < len(asked) / len(said) < 2:  # cheap, so it comes before `bare`
        return False
    own = bare(asked)
    longer, shorter = max(size, own.count(" ") + 1), min(size, own.count(" ") + 1)
    if shorter < ECHO_SHARE * longer:
        return False
    if f" {own} " not in f" {said} ":
        return f" {said} " in f" {own} "
    return not task.exact or task.parse(f" {said} ".replace(f" {own} ", " ", 1), None) is None


def self_reference(candidate: Candidate) -> str | None:
    """The answer, or the reasoning for the student, speaks of itself as a model, and the row is not about models."""
    spoken = candidate.text, candidate.reading.reasoning or "" if candidate.reasoning_needed else ""
    if not any(SELF_REFERENCES.search(text) for text in spoken):
        return None
    about = (message["content"] for message in candidate.raw.get("messages") or () if message["role"] == "user")
    return None if any(ON_MODELS.search(text) for text in (*about, *candidate.reference)) else "self_reference"
