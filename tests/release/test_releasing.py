"""What is released after a student was judged: each outcome, each reason, and what is published."""

import json
from itertools import pairwise

import pytest

from distill_dagster.errors import DataError
from distill_dagster.lineage.student import RELEASED
from distill_dagster.release import releasing
from distill_dagster.release.changes import approve, roll_back
from distill_dagster.store import files, parquet
from testing.releases import Students, named


@pytest.fixture
def students(tmp_path) -> Students:
    return Students(tmp_path)


def test_the_first_student_whose_retention_passes_is_first_release_and_champion(students):
    assert students.judge("a", verdict="INCONCLUSIVE").champion is None
    found = students.judge("b", wrong=50)
    assert (found.champion, found.first) == (named("b"), named("b"))
    assert students.outcomes == ["refused a", "promoted b"]
    assert students.weights == "b"


def test_a_better_student_replaces_the_champion_which_is_kept(students):
    students.judge("a", wrong=50)
    found = students.judge("b", wrong=20)
    assert (found.champion, found.first, students.weights) == (named("b"), named("a"), "b")
    decision = found.decision
    assert (decision.against_champion.value, decision.against_champion.items) == (0.03, 1000)
    assert decision.against_champion.low >= -0.01
    assert decision.against_first is None, "the first release is the champion"
    kept = students.manifest.folder / files.KEPT_FOLDER / named("a")[:16]
    assert (kept / files.WEIGHTS_FOLDER / "weights.txt").read_text() == "a"


@pytest.mark.parametrize("verdict", ["FAIL", "INCONCLUSIVE"])
def test_without_a_pass_of_the_retention_nothing_replaces_the_champion(students, verdict):
    students.judge("a", wrong=50)
    found = students.judge("b", verdict=verdict)
    assert (found.champion, found.decision.outcome) == (named("a"), "refused")
    assert found.decision.why == f"its retention is {verdict}: it is {verdict}"


def test_a_worse_student_is_refused_with_the_numbers(students):
    students.judge("a", wrong=50)
    found = students.judge("b", wrong=80)
    assert (found.champion, students.weights) == (named("a"), "a")
    assert found.decision.why.startswith("against the released student: -3.0 points (95 % interval")
    assert found.decision.against_champion.low < -0.01


def test_a_student_that_is_not_shown_to_be_no_worse_is_refused(students):
    """Ten items of loss and ten of gain are no difference, and 1,000 items do not show that it is within the margin."""
    students.judge("a", wrong=range(60))
    found = students.judge("b", wrong=range(30, 90))
    assert found.decision.against_champion.value == 0
    assert found.decision.outcome == "refused"


def test_small_losses_do_not_add_up_because_the_first_release_counts_too(tmp_path):
    """Each step loses one point of 1,000 with a margin of two; against the first release, the third loses too much."""
    students = Students(tmp_path, margin=0.02, must_gain=False)
    for step, name in enumerate("abc"):
        students.judge(name, wrong=10 * step)
    assert students.outcomes == ["promoted a", "promoted b", "refused c"]
    decision = students.register.decisions[-1]
    assert decision.against_champion.low >= -0.02
    assert decision.against_first.low < -0.02
    assert "against the first release: -2.0 points" in decision.why


@pytest.mark.parametrize(
    ("wrong", "must_gain", "outcome"),
    [
        (range(20, 50), True, "promoted"),  # 20 of 10,000 items gained and none lost
        (range(60, 110), True, "refused"),  # as many gained as lost: within the margin, and nothing is gained
        (range(60, 110), False, "promoted"),
        (range(50), True, "promoted"),  # the same items
    ],
)
def test_of_many_items_a_student_has_to_gain_what_the_interval_leaves_it_to_lose(tmp_path, wrong, must_gain, outcome):
    students = Students(tmp_path, items=10_000, must_gain=must_gain)
    students.judge("a", wrong=range(50))
    decision = students.judge("b", wrong=wrong).decision
    assert (decision.outcome, decision.against_champion.low > -0.01) == (outcome, True)
    assert ("the gain has to be at least as large" in decision.why) == (outcome == "refused")


def test_rows_without_gold_answers_release_nothing(tmp_path):
    students = Students(tmp_path, items=0)
    found = students.judge("a")
    assert (found.champion, found.decision.why) == (None, "no held-out row has a gold answer, so it has no score")


def test_a_refusal_leaves_the_data_version_and_a_promotion_changes_it(students):
    students.judge("a", wrong=50)
    released = students.manifest
    students.judge("b", wrong=80)
    assert students.manifest.version != released.version
    assert students.manifest.data_version == released.data_version
    students.judge("c", wrong=20)
    assert students.manifest.data_version != released.data_version


def test_a_model_is_published_without_a_second_copy(students):
    students.judge("a", wrong=50)
    own = students.checkpoint("a") / files.WEIGHTS_FOLDER / "weights.txt"
    assert students.manifest.file(f"{files.WEIGHTS_FOLDER}/weights.txt").samefile(own)


def test_the_history_never_loses_a_line(students):
    texts = []
    for name, wrong, verdict in [("a", 50, "PASS"), ("b", 80, "PASS"), ("c", 20, "FAIL"), ("d", 10, "PASS")]:
        students.judge(name, wrong=wrong, verdict=verdict)
        texts.append(students.manifest.file(files.DECISIONS_FILE).read_text())
    assert all(later.startswith(text) for text, later in pairwise(texts))
    lines = [json.loads(line) for line in texts[-1].splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3, 4]
    assert [line["outcome"] for line in lines] == ["promoted", "refused", "refused", "promoted"]
    assert {line["who"] for line in lines} == {"a test"}


def test_a_line_with_fields_of_a_later_version_is_kept_as_it_is(students):
    students.judge("a", wrong=50)
    file = students.manifest.file(files.DECISIONS_FILE)
    strange = file.read_text().replace('{"number"', '{"later":true,"number"')
    file.write_text(strange)
    students.judge("b", wrong=20)
    assert students.manifest.file(files.DECISIONS_FILE).read_text().startswith(strange)


def test_the_same_student_judged_again_alike_adds_no_decision(students):
    students.judge("a", wrong=50)
    for _ in range(2):
        students.judge("a", wrong=50)
        students.judge("b", wrong=80)
    assert students.outcomes == ["promoted a", "refused b"]
    students.rule = students.rule.model_copy(update={"margin": 0.1, "must_gain": False})
    students.judge("b", wrong=80)
    assert students.outcomes[2:] == ["promoted b"]


def test_looks_count_the_students_that_were_judged_on_the_same_rows(students):
    students.judge("a", wrong=50)
    students.judge("b", wrong=80)
    students.judge("b", wrong=80)
    assert students.judge("c", wrong=90).counts.looks == 3
    assert [decision.looks for decision in students.register.decisions] == [1, 2, 3]


def test_a_death_before_the_publication_leaves_the_old_release_whole(students, monkeypatch):
    students.judge("a", wrong=50)
    before = students.manifest

    def dies(*_):
        raise KeyboardInterrupt

    for place, name in ((releasing, "write_register"), (students.store.backend.__class__, "replace")):
        with monkeypatch.context() as patched:
            patched.setattr(place, name, dies)
            with pytest.raises(KeyboardInterrupt):
                students.judge("b", wrong=20)
        assert (students.manifest, students.weights) == (before, "a")
    assert students.judge("b", wrong=20).champion == named("b")
    assert students.outcomes == ["promoted a", "promoted b"]


def test_a_release_with_a_lost_file_is_never_begun_again_in_silence(students):
    students.judge("a", wrong=50)
    students.manifest.file(files.DECISIONS_FILE).unlink()
    with pytest.raises(DataError, match=r"a file of the release in .*released_student is gone"):
        students.judge("b", wrong=20)


def test_only_so_many_champions_are_kept_and_the_first_one(tmp_path):
    students = Students(tmp_path, keep=2)
    for step, name in enumerate("abcd"):
        students.judge(name, wrong=60 - 15 * step)
    state = students.register.state
    assert (state.champions, state.first) == ([named("d"), named("c")], named("a"))
    kept = {path.name for path in (students.manifest.folder / files.KEPT_FOLDER).iterdir()}
    assert kept == {named("c")[:16], named("a")[:16]}


# approval and rollback


def revise(students: Students, change) -> None:
    students.store.revise(RELEASED, None, lambda current, out: change(current.folder, out))


def approved(students: Students, who: str = "ada") -> None:
    revise(students, lambda earlier, out: approve(earlier, out, who, students.rule.keep))


def rolled_back(students: Students, who: str = "ada") -> None:
    revise(students, lambda earlier, out: roll_back(earlier, out, who))


def test_with_manual_approval_a_student_that_passes_waits(tmp_path):
    students = Students(tmp_path, approve="manual")
    found = students.judge("a", wrong=50)
    assert (found.champion, found.waiting, found.decision.outcome) == (None, named("a"), "waiting")
    assert not (students.manifest.folder / files.WEIGHTS_FOLDER).exists()
    approved(students)
    assert (students.weights, students.register.state.waiting) == ("a", None)
    students.judge("b", wrong=20)
    assert students.weights == "a"
    approved(students)
    assert students.weights == "b"
    assert students.outcomes == ["waiting a", "approved a", "waiting b", "approved b"]
    assert students.register.decisions[-1].who == "ada"
    with pytest.raises(DataError, match="no student waits for approval"):
        approved(students)


def test_a_student_that_waits_is_approved_although_a_later_one_was_refused(tmp_path):
    students = Students(tmp_path, approve="manual")
    students.judge("a", wrong=50)
    students.judge("b", verdict="FAIL")
    approved(students)
    assert students.weights == "a"


def test_a_later_student_that_passes_waits_in_place_of_the_one_before(tmp_path):
    students = Students(tmp_path, approve="manual")
    students.judge("a", wrong=50)
    students.judge("b", wrong=20)
    assert students.outcomes == ["waiting a", "refused a", "waiting b"]
    approved(students)
    assert students.weights == "b"


def test_a_rollback_releases_the_champion_before_and_an_approval_undoes_it(students):
    students.judge("a", wrong=50)
    students.judge("b", wrong=20)
    before = students.manifest
    rolled_back(students)
    assert (students.weights, students.register.state.waiting) == ("a", named("b"))
    assert students.manifest.fingerprint == before.fingerprint, "it is as fresh as before, so no run judges again"
    assert students.manifest.data_version == named("a")
    approved(students)
    assert students.weights == "b"
    assert students.outcomes == ["promoted a", "promoted b", "rolled back b", "approved b"]


def test_a_student_that_was_rolled_back_is_not_released_again_by_a_run(students):
    students.judge("a", wrong=50)
    students.judge("b", wrong=20)
    rolled_back(students)
    found = students.judge("b", wrong=20)
    assert (found.champion, found.decision.outcome) == (named("a"), "waiting")
    assert "it was rolled back at" in found.decision.why
    students.judge("c", wrong=10)
    assert students.weights == "c"


def test_a_rollback_without_an_earlier_champion_is_refused(students):
    students.judge("a", wrong=50)
    with pytest.raises(DataError, match="a00000000000 is the first released student: there is no earlier one"):
        rolled_back(students)


def test_a_rollback_ends_the_wait_of_a_student_that_was_compared_with_the_withdrawn_one(tmp_path):
    students = Students(tmp_path)
    students.judge("a", wrong=50)
    students.judge("b", wrong=20)
    students.rule = students.rule.model_copy(update={"approve": "manual"})
    students.judge("c", wrong=10)
    rolled_back(students)
    assert students.outcomes[-3:] == ["waiting c", "refused c", "rolled back b"]
    assert students.register.state.waiting == named("b")


def test_scores_of_every_student_on_the_present_rows_are_kept(students):
    students.judge("a", wrong=50)
    students.judge("b", wrong=80)
    table = parquet.read_table(students.manifest.file(files.SCORES_FILE))
    assert {(row["student"], row["task"]) for row in table} == {(named("a"), "nli"), (named("b"), "nli")}
    assert sum(row["score"] for row in table if row["student"] == named("b")) == 920
