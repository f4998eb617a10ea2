"""What each column of the published tables holds, in words, and from which columns of other tables it is made.

    describe("teacher_outputs", "answer")      The answer that the task's parser found in the text; empty: …
    MADE_FROM["validated_synthetic_set"]["answer"]   (("teacher_outputs", "raw_text"), ("teacher_outputs", "reasoning"))

A column that several tables share is described once, in `SHARED`; a table says only what is different in it.
"""

import pyarrow as pa

from distill_dagster.config.export import EXPORT_FORMATS
from distill_dagster.config.on_policy import MOST_ROUNDS
from distill_dagster.store import schemas

MEASURED = ("teacher", "baseline", "student", "gold_student")
TABLES: dict[str, pa.Schema] = {  # stage -> the schema of its table
    "raw_dataset": schemas.RAW,
    "eval_dataset": schemas.RAW,
    "teacher_outputs": schemas.TEACHER,
    "teacher_logits": schemas.LOGITS,
    "validated_synthetic_set": schemas.EXAMPLE,
    "gold_set": schemas.EXAMPLE,
    "student_sweep": schemas.TRIAL,
    "teacher_benchmark": schemas.PREDICTION,
    "baseline_benchmark": schemas.PREDICTION,
    "student_benchmark": schemas.PREDICTION,
    "gold_student_benchmark": schemas.PREDICTION,
}

TABLES |= {f"student_rollouts_{number}": schemas.ROLLOUT for number in range(1, MOST_ROUNDS + 1)}
TABLES |= {f"rollout_logits_{number}": schemas.LOGITS for number in range(1, MOST_ROUNDS + 1)}
TABLES |= {f"student_export_{form}": schemas.PREDICTION for form in EXPORT_FORMATS}

SHARED = {
    "row_id": "The row's id: the user's own, or else a hash of its messages.",
    "shard": "The shard that the row comes from, named after its source file.",
    "split": "train, validation or test.",
    "task": "The kind of answer that the row asks for, such as nli or math.",
    "messages": "The prompt as chat messages, without the gold answer.",
    "reference": "The gold answers; empty if the row brings none.",
    "not_gold": "The places of a conversation's turns, counted from 0, that are no gold answers; null if all are.",
    "group": "Rows of one group stay in one split, and count together in intervals.",
    "source_line": "The line, or the row, in the source file; the first one is 1.",
    "meta": "The keys of the source row that its format does not define, as JSON.",
    "sample": "Which of several answers to the same prompt this is; the first one is 0.",
    "turn": "Which user turn is answered: 0 except in conversations.",
    "request_hash": "The hash of the rendered prompt and its parameters; a stored reply is found by it.",
    "teacher": "The name of the teacher that answered.",
    "teacher_revision": "The revision of that teacher.",
    "params": "The sampling parameters of the request, as JSON.",
    "raw_text": "The text that the teacher wrote, unchanged.",
    "reasoning": "The teacher's reasoning, if it gave one.",
    "answer": "The answer that the task's parser found in the text; empty if the text has another form.",
    "agreement": "How well the answer agrees with the others or with gold, from 0 to 1; empty unless it was chosen.",
    "chosen": "Whether the student may learn this one of the row's answers.",
    "finish_reason": "Why the text ends: stop, length, content_filter, refusal, error, or the server's own word.",
    "prompt_tokens": "The tokens of the prompt.",
    "completion_tokens": "The tokens of the reply.",
    "latency_ms": "The time until the reply was complete, in ms; in a batch, the batch's time divided by its rows.",
    "cost_usd": "The price of the request in US dollars.",
    "attempts": "How many times the request was sent.",
    "status": "ok or failed.",
    "error_code": "Why the request failed; empty if it did not.",
    "logprobs": "The log-probabilities of the tokens as JSON, if the endpoint returned them.",
    "created_at": "When the reply arrived, in UTC.",
    "line": "The line of the source file.",
    "stage": "The asset that refused the row.",
    "code": "Why the row was refused: a code from E001 to E018, or the name of a filter.",
    "message": "The reason in words.",
    "snippet": "The beginning of what was refused.",
}

OWN: dict[str, dict[str, str]] = {
    "teacher_logits": {
        "tokens": "The number of tokens of the answer, with the one that ends it.",
        "token_ranks": "The answer's tokens, as ranks among `topk_ids`.",
        "topk_ids": "The ids of the most probable tokens at each position.",
        "topk_logprobs": "Their log-probabilities.",
        "tail_logmass": "The log-probability of all other tokens together.",
        "tail_logsums": "Log-sums over the other tokens; empty if the tail is sampled.",
        "tail_draws": "Tokens that were drawn from the tail; empty if it is not sampled.",
        "k": "How many tokens are kept at each position.",
        "vocab_size": "The size of the teacher's vocabulary.",
        "precision": "lossless or compact.",
        "temperature": "The temperature of the softmax.",
        "tokenizer_hash": "The hash of the tokenizer that the ids belong to.",
    },
    "validated_synthetic_set": {
        "messages": "Prompt and answer as chat messages; in a conversation, with the teacher's earlier answers.",
        "answer": "The text that the student learns; it begins with the reasoning if the student learns that too.",
        "reasoning": "The teacher's reasoning, whether the student learns it or not.",
        "label": "The class by which rows are balanced; empty if the task has no classes.",
        "gold_score": "The answer's score against the gold answers, from 0 to 1; empty if the row has none.",
        "flags": "Warnings about a row that is kept: length, personal_data, rare_label.",
    },
    "gold_set": {
        "messages": "Prompt and gold answer as chat messages.",
        "answer": "The gold answer as the student learns it; with its reasoning if the student learns that too.",
        "reasoning": "The text before the mark of the gold answer, whether the student learns it or not.",
        "label": "The class by which rows are balanced; empty if the task has no classes.",
        "gold_score": "The score of the answer against all gold answers of the row, from 0 to 1.",
        "flags": "Warnings about a row that is kept: length, personal_data, rare_label.",
    },
    "student_sweep": {
        "number": "The trial's number; the first one is 0.",
        "outcome": "How it ended: complete, pruned or diverged.",
        "point": "The settings that were searched, as JSON.",
        "validation_loss": "The validation loss of the weights that it kept; empty unless it is complete.",
        "losses": "The validation loss at each evaluation.",
        "steps": "The optimizer steps that it took.",
        "seconds": "The time that its worker took, from its last start on.",
        "gpu_seconds": "The same on a GPU.",
        "same_as": "An earlier trial with the same point, whose outcome this one has without a training.",
        "why": "The error of a trial that diverged.",
    },
}
PREDICTION = {
    "model": "teacher, baseline, student or gold_student.",
    "prediction": "The text that the model wrote.",
    "parsed": "The answer in the text; empty if it cannot be parsed, which scores 0.",
    "reference": "The gold answers that the answer is scored against.",
    "score": "The answer's score, from 0 to 1; empty if the row has no gold answer.",
}
OWN |= {f"{role}_benchmark": PREDICTION for role in MEASURED}
OWN |= {f"student_export_{form}": PREDICTION | {"model": "The format."} for form in EXPORT_FORMATS}


ROLLOUT = {
    "messages": "The prompt as chat messages; in a conversation, with the teacher's earlier answers.",
    "prompt_ids": "The prompt's tokens as the student read them.",
    "token_ids": "The tokens that the student sampled, with the one that ends the rollout.",
    "text": "Their text.",
    "finish_reason": "Why the rollout ends: stop, length or repetition.",
}
OWN |= {f"student_rollouts_{number}": ROLLOUT for number in range(1, MOST_ROUNDS + 1)}
OWN |= {f"rollout_logits_{number}": OWN["teacher_logits"] for number in range(1, MOST_ROUNDS + 1)}


def describe(table: str, column: str) -> str:
    """A column of a stage's table, or of its table of rejects, in a sentence."""
    return OWN.get(table, {}).get(column) or SHARED[column]


Columns = tuple[tuple[str, str], ...]  # (stage, column of its table)


def _same(stage: str, *columns: str) -> dict[str, Columns]:
    return {column: ((stage, column),) for column in columns}


_GOLD: Columns = (("raw_dataset", "reference"), ("raw_dataset", "messages"), ("raw_dataset", "task"))
_ASKED: Columns = (("raw_dataset", "messages"), ("raw_dataset", "task"))
_PREDICTED: dict[str, Columns] = {
    **_same("eval_dataset", "row_id", "group", "task", "reference"),
    "turn": (("eval_dataset", "messages"),),
    "prediction": (("eval_dataset", "messages"),),
    "parsed": (("eval_dataset", "messages"), ("eval_dataset", "task")),
    "score": (("eval_dataset", "messages"), ("eval_dataset", "task"), ("eval_dataset", "reference")),
    "prompt_tokens": (("eval_dataset", "messages"),),
    "completion_tokens": (("eval_dataset", "messages"),),
}
_CAPTURED = (
    *("tokens", "token_ranks", "topk_ids", "topk_logprobs"),
    *("tail_logmass", "tail_logsums", "tail_draws"),
)
_SAMPLED = ("prompt_ids", "token_ids", "text", "finish_reason")
MADE_FROM: dict[str, dict[str, Columns]] = {  # stage -> column -> the columns that it is made from
    "teacher_outputs": {
        **_same("raw_dataset", "row_id"),
        "turn": (("raw_dataset", "messages"),),
        "request_hash": _ASKED,
        "raw_text": _ASKED,
        "reasoning": _ASKED,
        "answer": _ASKED,
        "agreement": (*_ASKED, ("raw_dataset", "reference")),
        "chosen": (*_ASKED, ("raw_dataset", "reference")),
        "prompt_tokens": (("raw_dataset", "messages"),),
        "completion_tokens": _ASKED,
    },
    "teacher_logits": {
        **_same("teacher_outputs", "row_id", "sample", "turn"),
        **{column: (("teacher_outputs", "raw_text"), ("raw_dataset", "messages")) for column in _CAPTURED},
    },
    "validated_synthetic_set": {
        **_same("raw_dataset", "shard", "split", "task", "reference"),
        **_same("teacher_outputs", "sample", "turn"),
        "row_id": (("raw_dataset", "row_id"), ("teacher_outputs", "row_id")),
        "messages": (("raw_dataset", "messages"), ("teacher_outputs", "raw_text")),
        "answer": (("teacher_outputs", "raw_text"), ("teacher_outputs", "reasoning")),
        "reasoning": (("teacher_outputs", "reasoning"), ("teacher_outputs", "raw_text")),
        "label": (("teacher_outputs", "raw_text"), ("raw_dataset", "task")),
        "gold_score": (("teacher_outputs", "raw_text"), ("raw_dataset", "reference")),
        "flags": (("raw_dataset", "messages"), ("teacher_outputs", "raw_text")),
    },
    "gold_set": {
        **_same("raw_dataset", "row_id", "shard", "split", "task", "messages", "reference"),
        "turn": (("raw_dataset", "messages"),),
        **{column: _GOLD for column in ("answer", "reasoning", "label", "gold_score", "flags")},
    },
    **{f"{role}_benchmark": _PREDICTED for role in MEASURED},
    **{f"student_export_{form}": _PREDICTED for form in EXPORT_FORMATS},
}
for _number in range(1, MOST_ROUNDS + 1):
    _rollouts = f"student_rollouts_{_number}"
    MADE_FROM[_rollouts] = {
        **_same("validated_synthetic_set", "row_id", "sample", "turn", "shard", "messages"),
        **{column: (("validated_synthetic_set", "messages"),) for column in _SAMPLED},
    }
    MADE_FROM[f"rollout_logits_{_number}"] = {
        **_same(_rollouts, "row_id", "sample", "turn"),
        **{column: ((_rollouts, "token_ids"), (_rollouts, "messages")) for column in _CAPTURED},
    }
