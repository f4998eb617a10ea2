"""The Arrow schema of every table that crosses an asset boundary.

A teacher row, for instance, has one definition: `TEACHER`. A raw row, as an example:

    row_id      "train.csv#15"            the user's id, else a hash of the messages
    shard       "train-part-00"           the file it came from
    split       "train"                   train | validation | test
    task        "nli"
    messages    [{"role": "user", "content": "Premise: …"}]      the prompt, without the gold answer
    reference   ["entailment"]            gold answers, may be empty
    not_gold    None                      places of assistant turns of a conversation that are not to be learned
    group       "doc-7"                   rows of one group stay in one split
    source_line 15                        1-based line (or row) in the file
    meta        '{"lang": "en"}'          keys that the format does not define, as JSON
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
        ("not_gold", pa.list_(pa.int32())),  # null if all may be learned
        ("group", pa.string()),
        ("source_line", pa.int64()),
        ("meta", pa.string()),
    ]
)
LATER = {"not_gold": RAW.field("not_gold").type}  # columns that tables of older stores lack; they read as null

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
        ("turn", pa.int32()),  # index of the user turn that is answered; 0 except in conversations
        ("request_hash", pa.string()),
        ("teacher", pa.string()),
        ("teacher_revision", pa.string()),
        ("params", pa.string()),  # JSON
        ("raw_text", pa.string()),
        ("reasoning", pa.string()),
        ("answer", pa.string()),  # null: the text does not have the task's form
        ("agreement", pa.float64()),  # 0 … 1, the chooser's rating; null unless one of several answers was chosen
        ("chosen", pa.bool_()),  # whether the student may learn this one of the row's answers
        ("finish_reason", pa.string()),  # stop | length | content_filter | refusal | error, or the server's word
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("latency_ms", pa.float64()),  # a batch's wall time divided by its rows
        ("cost_usd", pa.float64()),
        ("attempts", pa.int32()),
        ("status", pa.string()),  # ok | failed
        ("error_code", pa.string()),
        ("logprobs", pa.string()),  # JSON; null unless an endpoint returned them
        ("created_at", pa.timestamp("us", tz="UTC")),
    ]
)

RESPONSE = pa.schema(  # a teacher's reply before it is parsed
    [
        ("request_hash", pa.string()),
        ("teacher", pa.string()),
        ("teacher_revision", pa.string()),
        ("text", pa.string()),
        ("reasoning", pa.string()),  # returned by a reasoning model beside the text
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
        ("estimated", pa.bool_()),  # the server did not count the tokens; null in older replies
        ("received", pa.string()),  # the body as it came, where a reply holds less than that
        ("prompt", pa.string()),  # `hashing.prompt_hash` of the row's own prompt; null in older replies, and of no row
    ]
)

LOGITS = pa.schema(  # the teacher's distribution over each token of an answer; logits/distributions.py unpacks it
    [
        ("row_id", pa.string()),
        ("sample", pa.int32()),
        ("turn", pa.int32()),
        ("tokens", pa.int32()),  # T, including the end token
        ("token_ranks", pa.binary()),  # the answer's token ids, as ranks among topk_ids
        ("topk_ids", pa.binary()),
        ("topk_logprobs", pa.binary()),
        ("tail_logmass", pa.binary()),
        ("tail_logsums", pa.binary()),  # null: the tail is sampled, or was captured before 0.2.0
        ("tail_draws", pa.binary()),  # null: the tail is not sampled
        ("k", pa.int32()),
        ("vocab_size", pa.int32()),
        ("precision", pa.string()),  # lossless | compact
        ("temperature", pa.float32()),  # of the softmax
        ("tokenizer_hash", pa.string()),
        ("teacher_revision", pa.string()),
    ]
)

ROLLOUT = pa.schema(  # what the student sampled for a training prompt
    [
        ("row_id", pa.string()),
        ("sample", pa.int32()),
        ("turn", pa.int32()),
        ("shard", pa.string()),
        ("messages", MESSAGES),
        ("prompt_ids", pa.list_(pa.int32())),  # as the student read it
        ("token_ids", pa.list_(pa.int32())),  # as the student sampled them, with the end token
        ("text", pa.string()),
        ("finish_reason", pa.string()),  # stop | length | repetition
    ]
)

EXAMPLE = pa.schema(  # what the student learns: to reply `answer` to the messages before it
    [
        ("row_id", pa.string()),
        ("sample", pa.int32()),
        ("turn", pa.int32()),
        ("shard", pa.string()),
        ("split", pa.string()),
        ("task", pa.string()),
        ("messages", MESSAGES),  # end with the answer; in a conversation, with the teacher's earlier ones
        ("answer", pa.string()),  # the target text; starts with the reasoning if the student learns that
        ("reasoning", pa.string()),  # the teacher's, learned or not; null: it gave none
        ("reference", pa.list_(pa.string())),
        ("label", pa.string()),  # the class by which rows are balanced; null: the task has no classes
        ("gold_score", pa.float64()),  # 0 … 1 against the gold answers; null: the row has none
        ("flags", pa.list_(pa.string())),  # warnings about a row that is kept: length, personal_data, rare_label
    ]
)

PREDICTION = pa.schema(
    [
        ("row_id", pa.string()),
        ("turn", pa.int32()),
        ("group", pa.string()),  # the held-out row's; its rows stay together in intervals
        ("task", pa.string()),
        ("model", pa.string()),  # teacher | baseline | student, or the format of an export
        ("prediction", pa.string()),
        ("parsed", pa.string()),  # null: cannot be parsed, and scores 0
        ("reference", pa.list_(pa.string())),  # gold answers, from which every statistic can be recomputed
        ("score", pa.float64()),  # 0 … 1; null: no reference, not scored
        ("finish_reason", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("latency_ms", pa.float64()),
    ]
)

TRIAL = pa.schema(  # one training of a sweep
    [
        ("number", pa.int32()),
        ("outcome", pa.string()),  # complete | pruned | diverged
        ("point", pa.string()),  # JSON: the settings that were searched
        ("validation_loss", pa.float64()),  # of the weights that it kept; null unless it is complete
        ("losses", pa.list_(pa.float64())),  # the validation loss at each evaluation
        ("steps", pa.int64()),
        ("seconds", pa.float64()),
        ("gpu_seconds", pa.float64()),
        ("same_as", pa.int32()),  # the earlier trial with the same point, whose outcome it has
        ("why", pa.string()),  # the error of a trial that diverged
    ]
)

ITEM = pa.schema(  # of a report: a row, or a whole conversation, with the three models' scores
    [
        ("row_id", pa.string()),
        ("group", pa.string()),  # null: the row is a group by itself
        ("task", pa.string()),
        ("teacher", pa.float64()),  # 0 … 1; of a conversation, the mean of its turns
        ("baseline", pa.float64()),
        ("student", pa.float64()),
    ]
)

SCORE = pa.schema(  # of an item that several students answered
    [
        ("student", pa.string()),  # the data version of student_checkpoint
        ("row_id", pa.string()),
        ("group", pa.string()),  # null: the row is a group by itself
        ("task", pa.string()),
        ("score", pa.float64()),  # 0 … 1; of a conversation, the mean of its turns
    ]
)
