"""A judge that is added to a finished project judges, and only the report is made again."""

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.report.document import read_document
from distill_dagster.store import files
from testing.projects import run_project


def test_only_its_word_and_the_report_are_made(copy_of_made, server, instance):
    server.script(rules=[{"fault": "say", "text": '{"best": 1}'}])
    judge = {"endpoint": {"url": server.url, "model": "a judge"}, "prompts": 20}
    config = load_config(copy_of_made(**{"evaluation.judge": judge}))
    outcome = run_project(config, instance)
    assert set(outcome.materialized) == {"answer_judgement", "eval_report"}
    document = read_document(Project(config).store.get("eval_report").file(files.REPORT_FILE))
    assert document.judgement is not None
    assert document.judgement.judge == "a judge"
    assert not document.judgement.trusted  # it looks at the place alone
    assert server.counts()["total"] == 2 * len(document.judgement.canaries)
    assert document.evaluation.judge.prompts == 20
