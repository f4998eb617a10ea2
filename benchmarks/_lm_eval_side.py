"""The lm-eval side of `_lm_eval_parity`: runs in lm-eval's own environment and imports nothing of this package.

    python _lm_eval_side.py FOLDER      reads FOLDER/model and FOLDER/items/{nli,qa,math}.jsonl, writes theirs.json

Each task is a local YAML file: the rendered prompt, `generate_until`, no target delimiter, lm-eval's own exact match.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

COMMON = """\
task: parity_{task}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {items}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{gold}}}}"
target_delimiter: ""
generation_kwargs: {{until: ["{end}"], do_sample: false, temperature: 0.0, max_gen_toks: {longest}}}
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
    ignore_case: true
    ignore_punctuation: {marks}
{more}"""
NUMBER = """\
filter_list:
  - name: last-number
    filter:
      - {function: regex, group_select: -1, regex_pattern: "(-?[$0-9.,]{2,})|(-?[0-9]+)"}
      - {function: take_first}
"""
IGNORED = '    regexes_to_ignore: [",", "\\\\$", "\\\\.$"]\n'


def write_task(folder: Path, task: str, end: str, longest: int) -> None:
    """The YAML file of a task; of an answer to `math`, the last number counts, as lm-eval does it for GSM8K."""
    is_math = task == "math"
    text = COMMON.format(
        task=task,
        items=folder / "items" / f"{task}.jsonl",
        end=end,
        longest=longest,
        marks=str(not is_math).lower(),
        more=IGNORED if is_math else "",
    )
    (folder / "tasks").mkdir(exist_ok=True)
    (folder / "tasks" / f"parity_{task}.yaml").write_text(text + (NUMBER if is_math else ""), encoding="utf-8")


def main() -> None:
    """Answer and score every item."""
    import lm_eval  # pyright: ignore[reportMissingImports]
    from lm_eval.tasks import TaskManager  # pyright: ignore[reportMissingImports]

    folder = Path(sys.argv[1]).resolve()
    about = json.loads((folder / "about.json").read_text())
    for task in about["tasks"]:
        write_task(folder, task, about["end"], about["longest"])
    found = lm_eval.simple_evaluate(
        model=about["engine"],
        model_args={"pretrained": str(folder / "model")} | ({"dtype": "float32"} if about["engine"] == "hf" else {}),
        tasks=[f"parity_{task}" for task in about["tasks"]],
        task_manager=TaskManager(include_path=str(folder / "tasks"), include_defaults=False),
        batch_size=16,
        device="cpu",
        log_samples=True,
    )
    assert found is not None, "rank 0 gets the results"
    items = {
        sample["doc"]["id"]: {"text": sample["resps"][0][0], "score": float(sample["exact_match"])}
        for samples in found["samples"].values()
        for sample in samples
    }
    (folder / "theirs.json").write_text(json.dumps({"version": version("lm_eval"), "items": items}))


if __name__ == "__main__":
    main()
