"""What the maker of a report may see of the report that it replaces."""

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import STAGES
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.store.result import Counts, Result
from testing.projects import write_project


def test_a_maker_finds_the_version_that_it_replaces(tmp_path):
    project = Project(load_config(write_project(tmp_path)))
    report, seen = STAGES["eval_report"], []

    def make(out, work):
        seen.append(Upstream(Snapshot(project), report, None).replaced())
        (out / "report.json").write_text(str(len(seen)))
        return Result(data_version=str(len(seen)), counts=Counts())

    for fingerprint in ("first", "second"):
        project.store.publish("eval_report", None, fingerprint=fingerprint, inputs={}, make=make)
    assert seen[0] is None
    assert seen[1].fingerprint == "first"
    assert project.store.get("eval_report").fingerprint == "second"
    assert seen[1].file("report.json").read_text() == "1"
