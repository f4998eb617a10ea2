"""The Arrow schema of every table that crosses an asset boundary.

One module, so that "what is a teacher row" has one answer. A raw row, as an example:

    row_id      "train.csv#15"            the user's id, else a hash of the messages
    shard       "train-part-00"           the file it came from
    split       "train"                   train | validation | test
    task        "nli"
    messages    [{"role": "user", "content": "Premise: …"}]      what is asked, gold answer removed
    reference   ["entailment"]            gold answers, may be empty
    group       "doc-7"                   rows that stay on one side of a split
    source_line 15                        1-based line (or row) in the file
    meta        '{"lang": "en"}'          every key the format does not know, as JSON
"""

import pyarrow as pa

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))

RAW = pa.schema(
    [
        ("row_id", pa.string()),
        ("shard", pa.string()),
        ("split", pa.string()),
        ("task", pa.string()),
        ("messages", MESSAGES),
        ("reference", pa.list_(pa.string())),
        ("group", pa.string()),
        ("source_line", pa.int64()),
        ("meta", pa.string()),
    ]
)

REJECT = pa.schema(
    [
        ("shard", pa.string()),
        ("line", pa.int64()),
        ("row_id", pa.string()),
        ("stage", pa.string()),  # the asset that refused the row
        ("code", pa.string()),  # E001 … E016, or a filter's reason slug
        ("message", pa.string()),
        ("snippet", pa.string()),
    ]
)

TEACHER = pa.schema(
    [
        ("row_id", pa.string()),
        ("sample", pa.int32()),
        ("turn", pa.int32()),  # 0 but for conversations: the index of the user turn that is answered
        ("request_hash", pa.string()),
        ("teacher", pa.string()),
        ("teacher_revision", pa.string()),
        ("params", pa.string()),  # JSON
        ("raw_text", pa.string()),
        ("reasoning", pa.string()),
        ("answer", pa.string()),  # null: the text is not in the task's form
        ("agreement", pa.float64()),  # 0 … 1, where one of several answers was chosen: what the chooser says of it
        ("chosen", pa.bool_()),  # the one of the row's answers that may be learned
        ("finish_reason", pa.string()),  # stop | length | content_filter | error
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("latency_ms", pa.float64()),  # a batch's wall time divided by its rows
        ("cost_usd", pa.float64()),
        ("attempts", pa.int32()),
        ("status", pa.string()),  # ok | failed
        ("error_code", pa.string()),
        ("logprobs", pa.string()),  # JSON, where an endpoint gave them
        ("created_at", pa.timestamp("us", tz="UTC")),
    ]
)

RESPONSE = pa.schema(  # a reply as it came, before anything parses it
    [
        ("request_hash", pa.string()),
        ("teacher", pa.string()),
        ("teacher_revision", pa.string()),
        ("text", pa.string()),
        ("reasoning", pa.string()),  # what a reasoning model returns apart from the text
        ("finish_reason", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("latency_ms", pa.float64()),
        ("attempts", pa.int32()),
        ("cost_usd", pa.float64()),
        ("logprobs", pa.string()),
        ("error_code", pa.string()),
        ("error", pa.string()),
        ("created_at", pa.string()),  # ISO 8601
    ]
)

LOGITS = pa.schema(  # what the teacher thought of every token of an answer; logits/distributions.py unpacks it
    [
        ("row_id", pa.string()),
        ("sample", pa.int32()),
        ("turn", pa.int32()),
        ("tokens", pa.int32()),  # T, the end token included
        ("token_ranks", pa.binary()),  # the answer's token ids, as ranks among topk_ids
        ("topk_ids", pa.binary()),
        ("topk_logprobs", pa.binary()),
        ("tail_logmass", pa.binary()),
        ("k", pa.int32()),
        ("vocab_size", pa.int32()),
        ("precision", pa.string()),  # lossless | compact
        ("temperature", pa.float32()),  # of the softmax
        ("tokenizer_hash", pa.string()),
        ("teacher_revision", pa.string()),
    ]
)

EXAMPLE = pa.schema(  # one thing the student learns: to answer `answer` after `messages`
    [
        ("row_id", pa.string()),
        ("sample", pa.int32()),
        ("turn", pa.int32()),
        ("shard", pa.string()),
        ("split", pa.string()),
        ("task", pa.string()),
        ("messages", MESSAGES),  # with the teacher's own earlier replies in a conversation
        ("answer", pa.string()),  # the target text, which opens with the reasoning where the student learns it
        ("reasoning", pa.string()),  # the teacher's, learned or not; null: none was given
        ("reference", pa.list_(pa.string())),
        ("label", pa.string()),  # the class that is balanced; null where the task has none
        ("gold_score", pa.float64()),  # 0 … 1 against the gold answers; null where there are none
        ("flags", pa.list_(pa.string())),  # what is remarkable of a row that is kept: length, personal_data, rare_label
    ]
)

PREDICTION = pa.schema(
    [
        ("row_id", pa.string()),
        ("turn", pa.int32()),
        ("task", pa.string()),
        ("model", pa.string()),  # teacher | baseline | student
        ("prediction", pa.string()),
        ("parsed", pa.string()),  # null: unparsable, which scores 0
        ("reference", pa.list_(pa.string())),  # gold answers, kept so that any statistic can be redone
        ("score", pa.float64()),  # 0 … 1; null: no reference, so not scored
        ("finish_reason", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("latency_ms", pa.float64()),
    ]
)
