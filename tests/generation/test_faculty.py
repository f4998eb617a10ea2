"""Several teachers: shares of a mix, and the choice among a row's answers by gold, majority or a judge."""

from collections import Counter

import pytest

from distill_dagster.config import GenerationConfig
from distill_dagster.generation.rounds import Panel
from distill_dagster.teachers.endpoint import ApiTeacher
from distill_dagster.teachers.faculty import Faculty, faculty_version
from distill_dagster.teachers.responses import Responses
from testing.generation_contract import asked_row, asked_rows, at, generate, is_right, spec_for
from testing.models_tiny import raw_row

GREEDY = GenerationConfig(max_new_tokens=16)


def mixed(server, *weights):
    own = [(weight, ApiTeacher(at(server, model=f"m{n}").endpoint, GREEDY)) for n, weight in enumerate(weights)]
    return Panel(own, [], 1)


@pytest.mark.parametrize("weights", [(1.0, 1.0), (3.0, 1.0), (0.2, 0.3, 0.5)])
def test_a_mix_shares_the_rows_by_weight_and_by_their_ids_alone(server, weights):
    panel = mixed(server, *weights)
    shares = Counter(panel.teacher(f"row-{n}", 0).name for n in range(20_000))
    for n, weight in enumerate(weights):
        assert shares[f"m{n}"] / 20_000 == pytest.approx(weight / sum(weights), abs=0.015)
    again = mixed(server, *(10 * weight for weight in weights))
    assert all(again.teacher(f"row-{n}", 0).name == panel.teacher(f"row-{n}", 0).name for n in range(500))


def test_a_row_stays_with_its_teacher_when_it_moves(tmp_path, server):
    faculty = Faculty(teachers=[(2.0, at(server, model="a")), (1.0, at(server, model="b"))])
    rows = asked_rows(60)
    produced, table = generate(spec_for(tmp_path, server, rows, faculty=faculty))
    assert is_right(table, rows)
    assert produced.teachers == dict(Counter(row["teacher"] for row in table))
    assert 25 <= produced.teachers["a"] <= 55
    moved = rows[::-3] + asked_rows(5, start=500)
    again, other = generate(spec_for(tmp_path, server, moved, faculty=faculty, name="moved"))
    assert again.asked == 5
    who = {row["row_id"]: row["teacher"] for row in table}
    assert all(row["teacher"] == who[row["row_id"]] for row in other if row["row_id"] in who)


SAMPLED = GenerationConfig(max_new_tokens=16, temperature=1.0, samples=3)


def panel_of(server, *extras, judge=None):
    return Faculty(
        teachers=[(1.0, at(server, model="own"))],
        panel=[at(server, model=name) for name in extras],
        judge=at(server, model="judge") if judge else None,
    )


def answers_in_turn(texts):
    """Rules that answer the same prompt with these texts, one after the other."""
    return [{"fault": "say", "text": text, "times": 1} for text in texts]


def one_at_a_time(faculty):
    slow = [
        (w, r.model_copy(update={"endpoint": r.endpoint.model_copy(update={"concurrency": 1})}))
        for w, r in faculty.teachers
    ]
    return faculty.model_copy(update={"teachers": slow})


def by_sample(table):
    return [(row["raw_text"], row["agreement"], row["chosen"]) for row in table]


def sampled(folder, server, row, texts, **changes):
    """One row, sampled once for each text and answered with them in turn."""
    skips = [{"fault": "say", "text": text, "skip": 0, "times": 1} for text in texts]
    server.script(rules=skips)
    faculty = changes.pop("faculty", panel_of(server))
    generation = SAMPLED.model_copy(update={"samples": len(texts)})
    return generate(spec_for(folder, server, [row], faculty=one_at_a_time(faculty), generation=generation, **changes))


def test_the_majority_is_chosen_and_of_equals_the_first(tmp_path, server):
    row = asked_row(1, task="math")
    _, table = sampled(tmp_path, server, row, ["#### 20", "#### 18", "so 18.0"], choose="majority")
    assert by_sample(table) == [("#### 20", 0.0, False), ("#### 18", 0.5, True), ("so 18.0", 0.5, False)]


def test_gold_is_chosen_against_the_majority(tmp_path, server):
    row = asked_row(1, task="math", reference=["20"])
    _, table = sampled(tmp_path, server, row, ["#### 18", "#### 18", "#### 20"], choose="gold")
    assert [(agreement, chosen) for _, agreement, chosen in by_sample(table)] == [(0, False), (0, False), (1, True)]


def test_an_answer_that_was_cut_off_is_not_chosen(tmp_path, server):
    cut = {"fault": "say", "text": "#### 20", "finish_reason": "length", "times": 2}
    server.script(rules=[cut, {"fault": "say", "text": "#### 18"}])
    spec = spec_for(
        tmp_path,
        server,
        [asked_row(1, task="math")],
        faculty=one_at_a_time(panel_of(server)),
        generation=SAMPLED.model_copy(update={"samples": 4}),
        choose="majority",
    )
    _, table = generate(spec)
    assert by_sample(table) == [
        ("#### 20", 0.0, False),
        ("#### 20", 0.0, False),
        ("#### 18", pytest.approx(1 / 3), True),
        ("#### 18", pytest.approx(1 / 3), False),
    ]


def test_every_row_has_exactly_one_chosen_answer(tmp_path, server):
    server.script(choices=["#### 1", "#### 2", "none"], rules=[{"match": "<3>", "fault": "status", "status": 400}])
    rows = asked_rows(12, task="math")
    faculty = panel_of(server, "second", "third")
    produced, table = generate(spec_for(tmp_path, server, rows, faculty=faculty, choose="majority"))
    assert len(table) == 36
    assert Counter(row["row_id"] for row in table if row["chosen"]) == {row["row_id"]: 1 for row in rows}
    assert produced.counts.chosen == 12
    assert {row["teacher"] for row in table} == {"own", "second", "third"}
    assert server.counts()["total"] == 36


def judged(folder, server, verdict, texts=("Paris", "London"), price=None, **more):
    server.script(
        rules=[
            {"match": "candidate replies", "fault": "say", "text": verdict, **more},
            *answers_in_turn(texts),
        ]
    )
    spec = spec_for(
        folder,
        server,
        [asked_row(1)],
        faculty=one_at_a_time(panel_of(server, judge=True)).model_copy(
            update={"judge": at(server, model="judge", price=price)}
        ),
        generation=SAMPLED.model_copy(update={"samples": len(texts)}),
        choose="judge",
    )
    return spec, generate(spec)


def test_the_judge_picks_and_is_asked_once(tmp_path, server):
    spec, (produced, table) = judged(tmp_path, server, '{"best": 2}')
    assert by_sample(table) == [("Paris", 0.0, False), ("London", 1.0, True)]
    body = server.counts()["last_body"]
    assert body["model"] == "judge"
    assert body["temperature"] == 0
    assert body["response_format"]["json_schema"]["name"] == "choice"
    assert "[reply 1]\nParis\n\n[reply 2]\nLondon" in body["messages"][1]["content"]
    assert produced.asked == server.counts()["total"] == 3
    again, same = generate(spec)
    assert (again.asked, again.reused) == (0, 3)
    assert by_sample(same) == by_sample(table)
    assert again.data_version == produced.data_version


@pytest.mark.parametrize("verdict", ["I like both", '{"best": 7}', ""])
def test_where_the_judge_names_none_the_first_one_is_chosen_and_nothing_agrees(tmp_path, server, verdict):
    _, (_, table) = judged(tmp_path, server, verdict)
    assert by_sample(table) == [("Paris", 0.0, True), ("London", 0.0, False)]


def test_the_judges_cost_is_its_own_and_stays_when_its_replies_are_found_again(tmp_path, server):
    """The teacher's answers have no price here, so they have their own word in the report."""
    spec, (produced, _) = judged(tmp_path, server, '{"best": 2}', price={"prompt": 1_000_000})
    paid = Responses(tmp_path / "responses").spent()
    assert produced.judge_cost_usd == paid > 0
    assert (produced.billing, produced.judge_billing, produced.table_cost_usd) == ("no price", "priced", 0)
    again, _ = generate(spec)
    assert (again.cost_usd, again.judge_cost_usd) == (0, paid)


def test_a_judge_that_fails_stops_nothing(tmp_path, server):
    _, (produced, table) = judged(tmp_path, server, "", status=500, fault="status")
    assert by_sample(table) == [("Paris", 0.0, True), ("London", 0.0, False)]
    assert produced.counts.failed == 0
    assert produced.judge_errors == {"http_500": 1}
    assert not produced.complete, "the next run asks the judge again"


def test_the_judge_is_not_asked_where_there_is_nothing_to_choose(tmp_path, server):
    _, (produced, table) = judged(tmp_path, server, '{"best": 2}', texts=("Paris", "Paris"))
    assert produced.asked == 2
    assert by_sample(table) == [("Paris", 1.0, True), ("Paris", 0.0, False)]


def test_a_conversation_is_chosen_as_a_whole(tmp_path, server):
    turns = [
        m for text in ("Hi", "Bye") for m in ({"role": "user", "content": text}, {"role": "assistant", "content": "-"})
    ]
    row = raw_row("c", turns, [], task="conversation")
    faculty = panel_of(server, "second")
    _, table = generate(spec_for(tmp_path, server, [row], faculty=faculty, choose="gold"))
    assert [(row["sample"], row["turn"], row["chosen"]) for row in table] == [
        (0, 0, True),
        (0, 1, True),
        (1, 0, False),
        (1, 1, False),
    ]


def test_a_whole_answer_is_chosen_before_one_that_was_cut_off(tmp_path, server):
    server.script(rules=[{"match": "question", "times": 1, "fault": "say", "text": "Par", "finish_reason": "length"}])
    faculty = panel_of(server, "second")
    _, table = generate(spec_for(tmp_path, server, asked_rows(1), faculty=faculty, choose="majority"))
    assert [(row["finish_reason"], row["chosen"]) for row in table] == [("length", False), ("stop", True)]


def test_another_model_under_the_same_revision_is_another_teacher(server):
    def version(model, **changes):
        ref = at(server, model=model, revision="v1", **changes)
        return faculty_version(Faculty(teachers=[(1.0, ref)]))

    assert version("a") == version("a", concurrency=3)
    assert len({version("a"), version("b"), version("a", extra_body={"thinking": True})}) == 3
