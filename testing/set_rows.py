"""Rows from which the validated set is made: source rows and a teacher's answers to them."""


def turn(role, content) -> dict:
    """A message."""
    return {"role": role, "content": content}


def raw(row_id, *texts, task="nli", reference=(), split="train", shard="s0", line=1) -> dict:
    """A source row with these texts, from user and assistant in turn."""
    roles = ("user", "assistant") * len(texts)
    return {
        "row_id": row_id,
        "shard": shard,
        "split": split,
        "task": task,
        "messages": [turn("system", "S"), *(turn(role, text) for role, text in zip(roles, texts, strict=False))],
        "reference": list(reference),
        "group": None,
        "source_line": line,
        "meta": "{}",
    }


def answer(row_id, text, sample=0, number=0, **more) -> dict:
    """The teacher's answer to a row, with the columns of `schemas.TEACHER`."""
    return {
        "row_id": row_id,
        "sample": sample,
        "turn": number,
        "request_hash": f"{row_id}-{sample}-{number}",
        "raw_text": text,
        "answer": "what an old parser said",
        "reasoning": None,
        "params": "{}",
        "finish_reason": "stop",
        "status": "ok",
        "error_code": None,
        "completion_tokens": 3,
        **more,
    }


def codes(built) -> set[tuple[str, str]]:
    """(row id, code) of every reject."""
    return {(r["row_id"], r["code"]) for r in built.rejects}
