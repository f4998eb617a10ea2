"""`where`, `chat` and `serve` on a project whose student is exported, and the export's asset itself."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from openai import OpenAI

from distill_dagster.cli.published import talkers_of
from distill_dagster.config.reading import load_config
from distill_dagster.evaluation.speed.specs import SpeedResult
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.release.export.snippets import script
from distill_dagster.release.export.specs import ExportResult
from distill_dagster.report.document import read_document
from distill_dagster.store import files, parquet
from testing.dev_server import COMMAND, environment, free_port, run_command, wait_until_up
from testing.projects import write_project
from testing.waiting import PATIENCE

pytestmark = [pytest.mark.processes, pytest.mark.timeout(PATIENCE)]

FORM, STAGE = "gguf_q8_0", "student_export_gguf_q8_0"
QUESTION = {"role": "user", "content": "Which colour is the door?"}


@pytest.fixture(scope="module")
def exported(made, tmp_path_factory):
    """A copy of the made project with an export: (its config's path, what the run said)."""
    folder = tmp_path_factory.mktemp("exported")
    path = write_project(folder, **{"export.formats": [FORM], "export.max_length": 512, "teacher.smoke": {"rows": 0}})
    shutil.copytree(made[0].config.store, folder / "store", ignore=shutil.ignore_patterns(".dagster"))
    return path, run_command("run", "--config", path)


def published(path: Path):
    return Project(load_config(path)).store.get(STAGE)


def test_a_run_makes_the_export_times_it_and_reports_it_and_makes_nothing_else(exported):
    path, said = exported
    manifest = published(path)
    result = manifest.read(ExportResult)
    assert json.loads(said.stdout.splitlines()[-1])["materialized"] == 3, "the export, speed_benchmark and eval_report"
    assert (
        result.counts.same_prompts
        == result.counts.predictions
        == len(parquet.read_table(manifest.file("predictions.parquet")))
    )
    assert result.items == 12
    assert result.bytes_on_disk < result.checkpoint_bytes
    assert result.runtime.startswith("xllamacpp ")
    assert sorted(file.name for file in manifest.file("model").iterdir()) == ["Modelfile", "student.gguf"]
    link = Path(load_config(path).store) / "exports" / FORM
    assert (link / "student.gguf").samefile(manifest.file("model/student.gguf"))


def test_the_export_is_timed_beside_the_models_and_held_against_the_targets(exported):
    path, _ = exported
    store, export = Project(load_config(path)).store, published(path)
    speed = store.get("speed_benchmark")
    assert speed.inputs[STAGE] == export.data_version
    *roles, timed = speed.read(SpeedResult).models
    assert [model.name for model in roles] == ["teacher", "baseline", "student"]
    assert (timed.name, timed.engine, timed.revision) == (FORM, "llama.cpp", export.data_version)
    assert timed.memory.weight_bytes == export.file("model/student.gguf").stat().st_size
    assert timed.level(1).latency_ms.p50 > 0
    report = read_document(store.get("eval_report").file(files.REPORT_FILE))
    assert sum(row.what.endswith(f", shipped engine ({FORM})") for row in report.lesson) == 4


def test_where_shows_every_form_and_a_script_that_works(exported):
    path, _ = exported
    found = run_command("where", FORM, "--config", path)
    link = Path(load_config(path).store) / "exports" / FORM
    assert found.exit_code == 0, found.output
    assert script("gguf", link, 512) in found.stdout
    places = json.loads(run_command("where", "--config", path, "--json").stdout)
    assert [(place["form"], place["state"]) for place in places] == [("student", "fresh"), (FORM, "fresh")]


def test_where_says_what_is_not_there(exported):
    path, _ = exported
    missing, unknown = (run_command("where", form, "--config", path) for form in ("onnx_int8", "onnx"))
    assert (missing.exit_code, unknown.exit_code) == (2, 2)
    assert "not exported as onnx_int8: add it to `export.formats`" in " ".join(missing.output.split())
    wanted = "'onnx': choose student, released, or a format that `export.formats` lists, of gguf_f32"
    assert wanted in " ".join(unknown.output.split())
    stranger = run_command("chat", "--with", "nobody", "--config", path, "--once", "hello")
    assert "'nobody': choose teacher, baseline, student, released, or a format" in " ".join(stranger.output.split())


def test_chat_asks_each_of_them_once(exported):
    path, _ = exported
    partners = [part for name in ("teacher", "baseline", "student", FORM) for part in ("--with", name)]
    said = run_command("chat", "--config", path, *partners, "--once", QUESTION["content"], "--json")
    assert said.exit_code == 0, said.output
    answers = json.loads(said.stdout)
    assert list(answers) == ["teacher", "baseline", "student", FORM]
    assert answers["student"] == answers[FORM] != answers["baseline"]


def test_chat_opens_with_the_system_message(exported):
    path, _ = exported
    opening = {"role": "system", "content": "The door is open. Say how many doors there are, and no other word."}
    asked = ["chat", "--config", path, "--with", "baseline", "--once", QUESTION["content"], "--json"]
    said = run_command(*asked, "--system", opening["content"])
    assert said.exit_code == 0, said.output
    talk = talkers_of(Snapshot(Project(load_config(path))), ["baseline"], "cpu")["baseline"]
    assert json.loads(said.stdout)["baseline"] == talk([opening, QUESTION]) != talk([QUESTION])


def test_chat_keeps_a_conversation_until_the_end_of_its_input(exported):
    path, _ = exported
    asked = [*COMMAND, "chat", "--config", str(path), "--with", "student"]
    done = subprocess.run(asked, input="One.\n\nTwo.\n", capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("student") == 2, "a table for each line that is not blank"


@pytest.mark.parametrize("form", [None, FORM])
def test_serve_answers_as_chat_does(exported, form, tmp_path):
    path, _ = exported
    port, log_path = free_port(), tmp_path / "log"
    command = [*COMMAND, "serve", "--config", str(path), "--port", str(port), *(["--export", form] if form else [])]
    with log_path.open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment())
    try:
        wait_until_up(server, f"http://127.0.0.1:{port}/health", log_path)
        said = log_path.read_text().splitlines()[0]
        model = said.rpartition(" ")[2]
        client = OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none")
        reply = client.chat.completions.create(model=model, messages=[QUESTION], temperature=0, max_tokens=12)
        chat = run_command(
            "chat", "--config", path, "--with", form or "student", "--once", QUESTION["content"], "--json"
        )
        assert reply.choices[0].message.content.strip() == json.loads(chat.stdout)[form or "student"]
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(60)


def test_what_cannot_be_served_is_refused(exported):
    path, _ = exported
    said = run_command("serve", "--config", path, "--export", "onnx_int8")
    assert (said.exit_code, "onnx_int8 has no server here" in said.output) == (2, True)
    said = run_command("serve", "--config", path, "--export", "gguf_f16")
    assert (said.exit_code, "the student is not exported as gguf_f16: add it to `export.formats`" in said.output) == (
        2,
        True,
    )


def test_the_script_for_the_checkpoint_gives_the_students_answer(exported):
    path, _ = exported
    found = {
        form: _ran(script(kind, folder, 512))
        for form, kind, folder in (
            ("student", "transformers", Path(load_config(path).store) / "student"),
            (FORM, "gguf", Path(load_config(path).store) / "exports" / FORM),
        )
    }
    chat = run_command("chat", "--config", path, "--with", "student", "--once", QUESTION["content"], "--json")
    assert set(map(str.strip, found.values())) >= {json.loads(chat.stdout)["student"]}


def _ran(text: str) -> str:
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
