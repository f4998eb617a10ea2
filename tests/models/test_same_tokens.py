"""Two tokenizers are the same if they tokenize alike; what differs is shown by a text and both lists of ids."""

import pytest
from tokenizers import AddedToken

from distill_dagster.errors import ModelError
from distill_dagster.logits.tokenizer import tokenizer_hash
from distill_dagster.models.building import train_tokenizer
from distill_dagster.models.rendering import encode
from distill_dagster.models.same_tokens import PROBE_TEXTS, common_ids
from testing.models_tiny import COLOURS, THINGS

TEXTS = [f"The {thing} is {colour}." for thing in THINGS for colour in COLOURS]


def tokenizer(size: int = 300, texts=TEXTS, added: tuple[str, ...] = (), special: bool = True):
    made = train_tokenizer(texts, size)
    tokens = [AddedToken(text, special=special) for text in added]
    made.add_tokens(tokens, special_tokens=special)
    return made


def test_equal_tokenizers_share_all_tokens():
    assert common_ids(tokenizer(), tokenizer(), [1]) == len(tokenizer()) == 300


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize(
    ("teachers", "students"), [(("<tool>",), ()), ((), ("<img>", "<x>")), (("<tool>",), ("<img>",))]
)
def test_tokenizers_that_differ_in_added_tokens_alone_share_the_others(teachers, students, special):
    one, other = tokenizer(added=teachers, special=special), tokenizer(added=students, special=special)
    assert tokenizer_hash(one) != tokenizer_hash(other)
    assert common_ids(one, other, [1]) == 300


def test_an_added_token_that_both_have_is_shared():
    one, other = tokenizer(added=("<old>", "<think>")), tokenizer(added=("<new>", "<think>", "<x>"))
    assert common_ids(one, other) == 302


@pytest.mark.parametrize(("teacher", "student"), [(300, 306), (306, 300)])
def test_another_vocabulary_is_refused_with_a_text_that_shows_it(teacher, student):
    one, other = tokenizer(teacher), tokenizer(student)
    with pytest.raises(ModelError, match="across_tokenizers: alm") as refused:
        common_ids(one, other)
    text = next(
        text for text in [*PROBE_TEXTS, *(" " + thing for thing in THINGS)] if f"{text!r} is " in str(refused.value)
    )
    assert encode(one, text) != encode(other, text)
    assert str(encode(one, text))[:20] in str(refused.value)
    assert str(encode(other, text))[:20] in str(refused.value)


def test_a_token_that_no_probe_text_has_is_found_by_its_own_text():
    """The two merge other pairs of a word that the probe texts do not have."""
    one, other = tokenizer(263, ["qzqz qzqz"]), tokenizer(263, ["zqjj zqjj zqjj"])
    assert [encode(one, text) for text in PROBE_TEXTS] == [encode(other, text) for text in PROBE_TEXTS]
    with pytest.raises(
        ModelError, match=r"'.*[qz].*' is \[\d+.*\] to the teacher's tokenizer and \[\d+.*\] to the student's"
    ):
        common_ids(one, other)


def test_a_special_token_with_another_id_is_refused():
    one, other = tokenizer(added=("<a>", "<b>")), tokenizer(added=("<b>", "<a>"))
    with pytest.raises(ModelError, match="'a <a> b' is"):
        common_ids(one, other)


def test_an_end_token_that_the_student_lacks_is_refused():
    one, other = tokenizer(added=("<end>",)), tokenizer()
    with pytest.raises(ModelError, match="token 300, which is '<end>' to the teacher and None to the student"):
        common_ids(one, other, [300])
    assert common_ids(one, other, [1]) == 300


def test_a_part_of_a_character_that_differs_is_refused():
    """Byte 0xC3 of one tokenizer is 0xC4 of the other: no text shows it, because neither probe text has both."""
    one = tokenizer()
    other = tokenizer()
    vocabulary = other.get_vocab()
    state = other.backend_tokenizer.to_str()
    low, high = sorted(
        (i, token) for token, i in vocabulary.items() if token in ("ö", "÷")
    )  # bytes F6 and F7: never UTF-8
    swapped = state.replace(f'"{low[1]}":{low[0]}', '"?1":0').replace(f'"{high[1]}":{high[0]}', f'"{high[1]}":{low[0]}')
    swapped = swapped.replace('"?1":0', f'"{low[1]}":{high[0]}')
    assert swapped != state
    other._tokenizer = type(other.backend_tokenizer).from_str(swapped)
    with pytest.raises(ModelError, match=r"to the teacher and '.' to the student"):
        common_ids(one, other)


def test_probe_texts_differ_from_one_another_and_are_composed():
    import unicodedata

    assert len(set(PROBE_TEXTS)) == len(PROBE_TEXTS)
    assert all(unicodedata.normalize("NFC", text) == text for text in PROBE_TEXTS)
