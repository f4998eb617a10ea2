"""The commands that use what a project has published: where, chat, serve."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from distill_dagster.cli.app import ConfigOption, app, explained
from distill_dagster.cli.console import err, out, say, table
from distill_dagster.config import ExportFormat
from distill_dagster.config.reading import CONFIG_NAME, load_config

NAMES = "teacher, baseline, student, released, or a published export such as gguf_q8_0"


@app.command()
@explained
def where(
    form: Annotated[
        str, typer.Argument(help="`student`, `released`, or an export format such as gguf_q8_0")
    ] = "student",
    config: ConfigOption = Path(CONFIG_NAME),
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Show where the published student and its exports are, and a script of a few lines that asks one of them."""
    from distill_dagster.cli.published import forms_of, kind_of
    from distill_dagster.lineage.project import Project
    from distill_dagster.lineage.snapshot import Snapshot
    from distill_dagster.release.export.snippets import script

    look = Snapshot(Project(load_config(config)))
    forms = forms_of(look, form)
    if as_json:
        print(json.dumps([found.model_dump() for found in forms], ensure_ascii=False, allow_nan=False))
        return
    rows = [[found.form, found.state, f"{found.bytes_on_disk:,}", found.path] for found in forms]
    out.print(table(None, ["form", "state", "bytes", "path"], rows, whole_labels=True))
    asked = next(found for found in forms if found.form == form)
    length = look.config.export.max_length
    out.print(script(kind_of(form), asked.path, length), soft_wrap=True, markup=False, highlight=False)


@app.command()
@explained
def chat(
    partners: Annotated[
        list[str] | None, typer.Option("--with", help=f"whom to ask, repeatable: {NAMES}; default: teacher and student")
    ] = None,
    system: Annotated[str | None, typer.Option(help="the system message before the first question")] = None,
    once: Annotated[str | None, typer.Option(help="ask this one question and end")] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda:0 and so on; no lease is taken")] = "cpu",
    config: ConfigOption = Path(CONFIG_NAME),
    as_json: Annotated[bool, typer.Option("--json", help="with --once: print JSON instead of a table")] = False,
) -> None:
    """Talk to the teacher and the student side by side; an endpoint's answers are paid like any others."""
    from distill_dagster.cli.published import talkers_of
    from distill_dagster.lineage.project import Project
    from distill_dagster.lineage.snapshot import Snapshot

    look = Snapshot(Project(load_config(config)))
    talkers = talkers_of(look, partners or ["teacher", "student"], device)
    opening = [] if system is None else [{"role": "system", "content": system}]
    histories: dict[str, list[dict[str, str]]] = {name: [*opening] for name in talkers}
    if once is None and sys.stdin.isatty():
        say("Ctrl-D ends the conversation", err)
    asked = once if once is not None else _question()
    while asked is not None:
        answers: dict[str, str] = {}
        for name, talk in talkers.items():
            histories[name].append({"role": "user", "content": asked})
            answers[name] = talk(histories[name])
            histories[name].append({"role": "assistant", "content": answers[name]})
        if as_json:
            print(json.dumps(answers, ensure_ascii=False, allow_nan=False))
        else:
            out.print(table(None, [*answers], [[*answers.values()]]))
        asked = None if once is not None else _question()


def _question() -> str | None:
    """The next line of standard input that is not blank; None at its end."""
    try:
        while not (line := input("you: ").strip()):
            pass
    except (EOFError, KeyboardInterrupt):
        return None
    return line


@app.command()
@explained
def serve(
    export: Annotated[
        ExportFormat | None, typer.Option(help="a published GGUF export instead of the checkpoint")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="port on the loopback interface")] = 8080,
    config: ConfigOption = Path(CONFIG_NAME),
) -> None:
    """Serve the student on loopback with OpenAI's protocol, by `transformers serve` or llama.cpp."""
    from distill_dagster.cli.published import server_of
    from distill_dagster.cli.serving import HOST, require_free
    from distill_dagster.lineage.project import Project
    from distill_dagster.lineage.snapshot import Snapshot
    from distill_dagster.release.export.children import environment

    look = Snapshot(Project(load_config(config)))
    command, model = server_of(look, export, HOST, port)
    require_free(port)
    say(f"the student answers at http://{HOST}:{port}/v1/chat/completions; the requests' model is {model}")
    sys.stdout.flush()
    os.execve(command[0], command, environment())
