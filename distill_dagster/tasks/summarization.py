"""Summaries: free text, scored by the words that it has in common with a gold summary, in order.

With chain of density the teacher writes a loose summary and makes it denser in several rounds. Each round keeps the
length and adds a few entities of the text that were missing (Adams et al. 2023, "From Sparse to Dense: GPT-4
Summarization with Chain of Density Prompting"; its readers preferred the second to fourth of five summaries). The last
summary is the answer:

    {"summaries": [{"Missing_Entities": "Ana; the fair", "Denser_Summary": "This text is about …"},
                   …,
                   {"Missing_Entities": "12 March", "Denser_Summary": "Ana opened the fair on 12 March …"}]}
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from distill_dagster.tasks.answer_mark import SUMMARY_KEYS, SUMMARY_NOUNS, stated
from distill_dagster.tasks.base import Task
from distill_dagster.tasks.bleu import bleu
from distill_dagster.tasks.measures import Measure
from distill_dagster.tasks.options import Prompting
from distill_dagster.tasks.reading import field_of, text_of
from distill_dagster.tasks.rouge import mean_rouge, rouge

ROUNDS = 4
ROUND_KEYS = ("Missing_Entities", "Denser_Summary")
INSTRUCTIONS = """\
Summarize the user's text in {rounds} rounds of growing density. In each round
1. name one to three entities of the text that matter and that your last summary leaves out, separated by semicolons;
2. write a summary of the same length that keeps all that the last one says and takes these in.
The first summary has about {words} words and says little: whole sentences, few facts. Make room afterwards by merging \
sentences and by leaving out words that say nothing; drop no entity again, and add nothing that the text does not say. \
Each summary has about {words} words and can be understood without the text.
Reply with one JSON object and nothing else: \
{{"summaries": [{{"Missing_Entities": "...", "Denser_Summary": "..."}}, ...]}}
"summaries" holds exactly {rounds} objects, in the order of the rounds."""


class Summarization(Task):
    """A text; the answer is a shorter one, scored by its best ROUGE-L F1 with a reference, word stems compared."""

    name: ClassVar[str] = "summarization"
    metric: ClassVar[str] = "rouge_l"
    more_metrics: ClassVar[Mapping[str, Measure]] = {
        "rouge_1": mean_rouge("rouge1", stem=True),
        "rouge_2": mean_rouge("rouge2", stem=True),
        "bleu": bleu,
    }
    exact: ClassVar[bool] = False
    azure_name: ClassVar[str | None] = "SUMMARIZATION"
    promptings: ClassVar[tuple[Prompting, ...]] = ("plain", "chain_of_density")

    def parse(self, text: str, labels: Sequence[str] | None) -> str | None:
        """The text, without a "Summary:" that opens it, and without a JSON object or a code fence around it."""
        return stated(text, nouns=SUMMARY_NOUNS, keys=SUMMARY_KEYS, leading=True) or None

    def agreement(self, answer: str, reference: str, labels: Sequence[str] | None = None) -> float:
        """ROUGE-L F1 with stemming."""
        return rouge(answer, reference, "rougeL", stem=True)

    def _instructions(self, prompting: Prompting, labels: Sequence[str] | None, summary_words: int) -> str | None:
        return INSTRUCTIONS.format(rounds=ROUNDS, words=summary_words) if prompting == "chain_of_density" else None

    def _schema(self) -> dict[str, Any]:
        a_round = {
            "type": "object",
            "properties": {key: {"type": "string"} for key in ROUND_KEYS},
            "required": list(ROUND_KEYS),
            "additionalProperties": False,
        }
        return {
            "type": "object",
            "properties": {"summaries": {"type": "array", "items": a_round}},
            "required": ["summaries"],
            "additionalProperties": False,
        }

    def _unpack(self, value: Any) -> tuple[str, str | None] | None:
        """The last round's summary, whether the rounds are a list, as in the paper, or an object of rounds."""
        rounds = _rounds(value)
        return (text_of(rounds[-1]), None) if rounds and not isinstance(rounds[-1], dict | list) else None


def _rounds(value: Any, depth: int = 3) -> list[Any]:
    """The summaries of all rounds in a JSON value, in order, nested at most as in {"…": {"round 1": {…}, …}}."""
    try:
        return [field_of(value, (ROUND_KEYS[1],))]
    except KeyError:
        inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        return [summary for part in inner for summary in _rounds(part, depth - 1)] if depth > 1 else []
