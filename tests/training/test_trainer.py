"""Two ranks that share each batch train as one process: the loss is divided by the weights of both."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from datasets import Dataset

from distill_dagster.config import HiddenSignalConfig, StudentTrainingConfig
from distill_dagster.models.loading import load, open_model, open_tokenizer
from distill_dagster.models.pinning import pin_folder
from distill_dagster.models.rendering import end_ids
from distill_dagster.ranks import group
from distill_dagster.training.batches import LengthBatches
from distill_dagster.training.examples import gold_examples, tokenize
from distill_dagster.training.signals.forward import computing_loss
from distill_dagster.training.signals.hidden import HiddenSignal
from distill_dagster.training.signals.text import TextSignal
from distill_dagster.training.trainer import OneDeviceArguments, SignalTrainer
from testing.dev_server import free_port
from testing.models_tiny import LLAMA, TINY, rows, write_model

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
CHILD = "import sys; from tests.training.test_trainer import take_step; take_step(*sys.argv[1:])"


def signal_of(kind: str, folder: str, student, tokenizer):
    """The signal of the text alone, or beside it that of a teacher's hidden states and relations."""
    text = TextSignal(tokenizer.pad_token_id)
    if kind == "text":
        return text
    teacher = load(pin_folder(Path(folder).parent / "teacher", name="teacher"), "cpu")
    config = HiddenSignalConfig(layers=[[1, 2], [2, 3]], relations={"heads": 4, "layers": [[2, 3]]})
    return HiddenSignal.open(text, StudentTrainingConfig(signal="hidden", hidden=config), student, tokenizer, teacher)


def take_step(folder: str, out: str, kind: str) -> None:
    """One optimizer step on 16 rows whose answers have 1 to 4 words; writes what it saw into a file."""
    tokenizer, model = open_tokenizer(Path(folder)), open_model(Path(folder), "float32")
    examples, _ = gold_examples([*rows(16), *rows(4, "validation")])
    for i, example in enumerate(examples):
        example["answer"] = " ".join([example["answer"]] * (1 + i // 4))
    data = tokenize(Dataset.from_list(examples), tokenizer, end_ids(tokenizer, model.generation_config), 64)
    plan = {"max_steps": 1, "logging_steps": 1, "save_strategy": "no", "eval_strategy": "steps", "eval_steps": 1}
    quiet = {"disable_tqdm": True, "report_to": "none", "remove_unused_columns": False}
    arguments = OneDeviceArguments(torch.device("cpu"), output_dir=out, max_grad_norm=1e9, **plan, **quiet)
    signal, text = signal_of(kind, folder, model, tokenizer), TextSignal(tokenizer.pad_token_id)
    share = (group.number(), group.count())
    batches = LengthBatches(data.train["length"], 16, 0, share=share)
    with computing_loss(model), signal.attached(model):
        trainer = SignalTrainer(model=model, args=arguments, data=data, signal=signal, measure=text, batches=batches)
        validation = LengthBatches(data.validation["length"], 2, 0, share=share)
        trainer.validation_loader = trainer.loader(data.validation, validation, text)
        trainer.train()
    seen = {key: value for entry in trainer.state.log_history for key, value in entry.items()}
    kept = {key: seen[key] for key in ("loss", "eval_loss", "grad_norm")}
    path = Path(out, f"seen-{os.environ.get('RANK', '0')}.json")
    path.write_text(json.dumps({**kept, "processes": trainer.accelerator.num_processes}))


@pytest.mark.parametrize("kind", ["text", "hidden"])
def test_two_processes_take_the_step_of_one(tmp_path, kind):
    write_model(tmp_path / "model")
    deeper = {**LLAMA, "num_hidden_layers": 3, "hidden_size": 48}
    write_model(tmp_path / "teacher", TINY.model_copy(update={"settings": deeper}))
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    port = str(free_port())
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    env = {**os.environ, **shared, "PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true"}
    command = [sys.executable, "-c", CHILD, str(tmp_path / "model"), str(tmp_path / "two"), kind]
    children = [
        subprocess.Popen(command, env={**env, "RANK": rank, "LOCAL_RANK": rank, group.LAUNCHER: "1"}, cwd=ROOT)
        for rank in ("0", "1")
    ]
    take_step(str(tmp_path / "model"), str(tmp_path / "one"), kind)
    assert [child.wait() for child in children] == [0, 0]
    one, two = (json.loads((tmp_path / name / "seen-0.json").read_text()) for name in ("one", "two"))
    assert (one.pop("processes"), two.pop("processes")) == (1, 2)
    assert one == pytest.approx(two, rel=1e-5)
