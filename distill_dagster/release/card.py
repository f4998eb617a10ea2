"""The released student's model card: all of it is made from what the artefacts report.

    card_files(made)      README.md, NOTICE where a licence demands it, and .eval_results, all to lie beside the weights

huggingface_hub's `ModelCard(release_card(made))` reads the card offline; the hub validates it when it is pushed.
Texts of the project are data: they are escaped, and never rendered as a template. The card holds no row of the data.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from distill_dagster.release import card_tables as tables
from distill_dagster.release.findings import LicenceFinding, duties, findings, notice_file, notices, released_name
from distill_dagster.release.hub_metadata import front_matter, hub_licence, leaderboard_entry, leaderboard_file
from distill_dagster.release.licences import NOT_ADVICE
from distill_dagster.release.made import Made
from distill_dagster.report.numbers import percent
from distill_dagster.report.rendering import escape_markdown, open_templates
from distill_dagster.training.usage import usage

CARD_FILE, NOTICE_FILE = "README.md", "NOTICE"
TEMPLATE = "model_card.md.jinja"


def release_card(made: Made, found: Sequence[LicenceFinding] | None = None) -> str:
    """The card as Markdown with YAML front matter; `found` are the licence findings, if they are known already."""
    from markupsafe import Markup

    found = findings(made.config) if found is None else found
    name = released_name(made.config, found)
    document, faculty = made.document, made.faculty
    return (
        open_templates(Path(__file__).parent, escape_markdown)
        .get_template(TEMPLATE)
        .render(
            front=Markup(front_matter(made, name, found)),
            name=name,
            parameters=f"{made.student.counts.parameters:,}",
            task=made.config.task,
            teachers=", ".join(dict.fromkeys(ref.name for _, ref in faculty.teachers)),
            document=document,
            items=f"{document.items:,}",
            usage=Markup(usage(made.measured.max_new_tokens)),
            limits=list(_limits(made)),
            licence_words=_licence_words(found),
            notices=notices(found),
            duties=duties(found),
            not_advice=NOT_ADVICE,
            **{name: list(rows(made)) for name, rows in tables.PARTS.items()},
            licences=list(tables.licences(found)),
            columns=tables.score_columns(made),
            table=_table,
        )
    )


def card_files(made: Made) -> dict[str, str]:
    """Path in the folder of the released weights -> text: the card, and what belongs beside it."""
    found = findings(made.config)
    texts = {CARD_FILE: release_card(made, found)}
    if notice := notice_file(found):
        texts[NOTICE_FILE] = notice
    if entry := leaderboard_entry(made):
        texts[leaderboard_file(entry)] = yaml.safe_dump([entry], sort_keys=False, allow_unicode=True)
    return texts


def _limits(made: Made) -> Iterator[str]:
    """What the numbers do not say, and what the student cannot do."""
    measured, training = made.measured, made.student.training
    teacher = made.document.benchmarks["teacher"]
    yield f"Measured on {measured.items:,} held-out items of this project; other tasks, domains and languages were not."
    yield f"It learned the teacher's answers, also the wrong ones: the teacher scored {percent(teacher.score)} here."
    if longest := training.get("max_length"):
        yield (
            f"It was trained on texts of up to {longest:,} tokens, and measured with answers of up to "
            f"{measured.max_new_tokens:,}."
        )
    counts = {"could not be parsed": measured.unparsable, "were cut off": measured.truncated, "failed": measured.failed}
    for what, count in counts.items():
        if count:
            yield f"{count:,} of its {measured.predictions:,} answers {what}; they count as wrong."
    yield from made.document.notes


def _licence_words(found: Sequence[LicenceFinding]) -> str:
    """Under which licence the weights stay, in a sentence."""
    licence = hub_licence(found)
    if licence:
        return f"These weights stay under the licence {licence.get('license_name', licence['license'])}."
    return "No licence of others holds for these weights; whoever releases them chooses one."


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Any:
    """A Markdown table; every cell is escaped."""
    from markupsafe import Markup

    lines = [f"| {' | '.join(str(escape_markdown(cell)) for cell in cells)} |" for cells in [head, *rows]]
    return Markup("\n".join([lines[0], f"|{' --- |' * len(head)}", *lines[1:]]))
