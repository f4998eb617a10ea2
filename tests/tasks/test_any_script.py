"""ROUGE and SQuAD's scores: as published for English, and the same idea in every other script."""

import pytest
from rouge_score.rouge_scorer import RougeScorer

from distill_dagster.tasks import get_task
from distill_dagster.tasks.rouge import rouge
from distill_dagster.tasks.words import words_of

ENGLISH = [
    ("Police killed the gunman.", "the gunman was killed by police"),
    ("We don’t train on it — “ever”.", "We don't train on it, ever"),
    (
        "We study low-rank approximation by the Nyström method, and show that its error decays as the spectrum does.",
        "The Nystrom method approximates a matrix of low rank; we bound its error by the decay of the spectrum.",
    ),
    ("In 2019, 3.5% of 1,200 users left (42).", "42 of the 1200 users left in 2019."),
    ("", "nothing"),
    ("snake_case and CamelCase", "snake case camelcase"),
]


@pytest.mark.parametrize("kind", ["rouge1", "rouge2", "rougeL"])
@pytest.mark.parametrize("stem", [True, False])
@pytest.mark.parametrize(("answer", "reference"), ENGLISH)
def test_english_scores_are_the_librarys(answer, reference, stem, kind):
    expected = RougeScorer([kind], use_stemmer=stem).score(reference, answer)[kind].fmeasure
    assert rouge(answer, reference, kind, stem=stem) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Кошка спит на окне",
        "我喜欢猫",
        "ねこが寝ている",
        "고양이가 잔다",
        "القط نائم",
        "मैं घर जाता हूँ",
        "แมวนอน",
        "Η γάτα κοιμάται",
        "חתול ישן",
        "mèo ngủ",
    ],
)
@pytest.mark.parametrize("name", ["summarization", "conversation"])
def test_equal_texts_score_1_and_texts_without_a_common_word_0_in_any_script(text, name):
    task = get_task(name)
    assert task.score(text, [text]) == 1
    assert task.score(text, [f"{text} x"]) < 1
    assert task.score(text, ["żółw"]) == 0


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [("我喜欢猫", "我喜欢狗", 3 / 4), ("Кошка спит", "Кошка ест", 1 / 2), ("été", "ôté", 0), ("CAFÉ", "cafe\u0301", 1)],
)
def test_overlap_in_other_scripts(answer, reference, score):
    assert rouge(answer, reference, "rougeL", stem=False) == pytest.approx(score)


def test_words_keep_their_marks():
    assert words_of("मैं घर, 2 बार") == ["मैं", "घर", "2", "बार"]
    assert words_of("我abc喜欢") == ["我", "abc", "喜", "欢"]


SAME = [
    ("A.", "A"),
    ("The Eiffel Tower.", "eiffel tower"),
    ("$5.00", "5"),
    ("1,000", "1000"),
    ("−5", "-5"),
    ("$-5", "-$5.00"),
    ("3.0", "3"),
    ("1.50 euros", "1.5 euros"),
    (".5", "0.5"),
    ("“Paris”", "Paris"),
    ("don’t", "don't"),
    ("U.S.", "US"),
    ("Лион.", "лион"),
    ("里昂。", "里昂"),
    ("cafe\u0301", "Café"),
    ("12%", "12"),
    ("COVID-19", "covid19"),
    ("par\u200bis", "Paris"),
    ("p < 0.05", "p<0.05"),
    ("p <= 0.05", "p ≤ 0.05"),
    ("p<.05", "p < 0.05"),
    ("C++.", "c++"),
    ("C#", "c#."),
    ("A+", "a+"),
    ("$5", "5"),
    ("€5.00", "€5"),
    ("well-known", "wellknown"),
    ("a - b", "a b"),
    ("#1", "1"),
    ("x -> 5", "x 5"),
    ("<b>Paris</b>", "bParisb"),
    ("Plan A - Paris", "plan a paris"),
]
OTHER = [
    ("3.14", "314"),
    ("1.5", "15"),
    ("-5", "5"),
    ("$5.00", "500"),
    ("10-15", "1015"),
    ("5:30", "530"),
    ("1/2", "12"),
    ("3,5", "35"),
    ("1.2.3", "123"),
    ("about 3.14 m", "about 314 m"),
    ("007", "7"),
    ("The", "A"),
    ("%", "$"),
    ("5 - 3", "53"),
    ("", "x"),
    ("p>0.05", "p<0.05"),
    ("p > 0.05", "p 0.05"),
    ("<5", ">5"),
    ("≤5", "<5"),
    ("≥ 5", "5"),
    ("x ≠ 5", "x 5"),
    ("C#", "C++"),
    ("C#", "C"),
    ("C", "C++"),
    ("A+", "A-"),
    ("A+", "A"),
    ("AB-", "AB+"),
    ("Notepad++", "Notepad"),
    ("€5", "$5"),
    ("£1,000", "¥1000"),
]


@pytest.mark.parametrize(
    ("answer", "reference", "score"), [(*pair, 1) for pair in SAME] + [(*pair, 0) for pair in OTHER]
)
def test_exact_match_keeps_the_value_of_a_number_and_ignores_form(answer, reference, score):
    assert get_task("qa").score(answer, [reference]) == score
    assert get_task("qa").score(reference, [answer]) == score


def test_token_f1_counts_characters_where_words_have_no_blanks():
    from distill_dagster.tasks.qa import token_f1

    assert token_f1("里昂市", ["里昂"]) == pytest.approx(4 / 5)
    assert token_f1("3.14 m", ["314 m"]) == pytest.approx(1 / 2)


@pytest.mark.parametrize(
    ("name", "text", "answer"),
    [
        ("qa", "**Answer:** Paris", "Paris"),
        ("qa", "**Paris**", "Paris"),
        ("qa", "### Final answer\nParis", "Paris"),
        ("qa", '```json\n{"answer": "Paris"}\n```', "Paris"),
        ("qa", "<answer>Paris</answer>", "Paris"),
        ("qa", "Final answer: **Paris**.", "Paris."),
        ("qa", r"$\boxed{\text{Paris}}$", "Paris"),
        ("qa", r"Ann says so. The answer is $\boxed{\textbf{Paris}}$.", "Paris"),
        ("qa", r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        ("qa", r"\boxed{Par", None),
        ("qa", r"\boxed{Paris} and \boxed{Rome}", r"\boxed{Paris} and \boxed{Rome}"),
        ("qa", "__Paris__", "Paris"),
        ("qa", "_Paris_", "Paris"),
        ("qa", "`Paris`", "Paris"),
        ("qa", "`__init__`", "__init__"),
        ("qa", "__init__", "__init__"),
        ("qa", "`a` and `b`", "`a` and `b`"),
        ("qa", "snake_case_", "snake_case_"),
        ("qa", '```json\n{"answer": "Paris"}\n```\nHope it helps!', "Paris"),
        ("qa", '{"answer": "Paris"}\n\nLet me know if you have more questions.', "Paris"),
        ("qa", "```\nParis\n```\nHope it helps!", "Paris"),
        ("qa", "Answer: __Paris__\n\nI hope this helps!", "Paris"),
        ("qa", "Paris\nThank you.", "Paris\nThank you."),
        ("qa", "Let me know if you come.", "Let me know if you come."),
        ("qa", '{"answer": "Paris"}\nNo, Rome.', '{"answer": "Paris"}\nNo, Rome.'),
        ("qa", '{"city": "Paris"}', '{"city": "Paris"}'),
        ("qa", '{"answer": {"city": "Paris"}}', '{"answer": {"city": "Paris"}}'),
        ("qa", "The answer is Paris", "The answer is Paris"),
        ("summarization", '```json\n{"summary": "A cat sat."}\n```', "A cat sat."),
        ("summarization", "**Summary:** A cat sat.\nAnswer: x", "A cat sat.\nAnswer: x"),
        ("summarization", "A cat sat.\n\nSummary: it sat", "A cat sat.\n\nSummary: it sat"),
        ("conversation", '{"answer": "Paris"}', '{"answer": "Paris"}'),
        ("conversation", "Answer: Paris", "Answer: Paris"),
    ],
)
def test_free_text_is_learned_without_its_markup(name, text, answer):
    assert get_task(name).parse(text, None) == answer
