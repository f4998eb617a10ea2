"""What the worker that makes the validated set takes, and what it returns.

    SetResult(counts=SetCounts(teacher_rows=120, examples=105, train=100, validation=5, rejected=15, truncated=15),
              acceptance=0.875, gold_agreement=0.88, labels_before={"neutral": 60, …}, shards=4, …)

Labels and gold answers are those of training rows. Shares are 0 … 1, and None where there is nothing to count.
"""

from pydantic import BaseModel, ConfigDict

from distill_dagster.config import Learn, QualityConfig
from distill_dagster.store.result import ACCEPTED, Counts, Result, Spec


class SetSpec(Spec):
    """Filter, deduplicate, decontaminate and balance the answers of all shards: examples.parquet, rejects.parquet."""

    raw: list[str]  # raw.parquet of every shard, in the order of the keys
    teacher: list[str]  # teacher.parquet of the same shards
    test: str  # raw.parquet of the test rows
    quality: QualityConfig
    learn: Learn
    out: str  # folder for the tables
    work: str  # folder for what does not fit into memory; gone at the end


class _RefusedByReason(Counts):
    """The refused rows or answers by reason are further fields."""

    @property
    def by_reason(self) -> dict[str, int]:
        """Reason -> what was refused for it; a reason without any is left out."""
        return dict(self.model_extra or {})


class SetCounts(_RefusedByReason):
    """teacher_rows == examples + rejected. The refused rows by reason follow as further fields."""

    teacher_rows: int
    examples: int
    train: int
    validation: int
    rejected: int


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True)


class LabelShift(_Fact):
    """How far the label distribution after the filters is from that before them."""

    total_variation: float  # the share of rows that would have to change their label
    jensen_shannon: float  # in bits


class RightWrong(_Fact):
    """Some answers, by whether they agree with gold."""

    right: int = 0
    wrong: int = 0


class AgainstGold(_Fact):
    """What the filters do to answers whose gold answer is known, in tasks with one right answer."""

    right: int = 0  # of all such answers
    wrong: int = 0
    filters: dict[str, RightWrong] = {}  # reason -> answers that the filter refuses
    flags: dict[str, RightWrong] = {}  # flag -> kept answers that have it


class Contamination(_Fact):
    """Prompts of the training rows that a held-out row has too."""

    held_out_items: int = 0
    contaminated_questions: dict[str, int] = {}  # rule -> prompts
    not_seen_by_ngrams: float | None = None  # share of held-out rows without an n-gram of their own
    copied_test_rows: list[str] | None = None  # ids, sorted; None in sets of before they were recorded


class PromptDiversity(_Fact):
    """How different the training prompts are, see diversity.py; None where there are too few to tell."""

    prompts: int = 0
    distinct_1: float | None = None
    distinct_2: float | None = None
    spread: float | None = None
    openings: dict[str, float] = {}  # first words -> share of the prompts


class SetFacts(_Fact):
    """What people want to know of a set, besides its counts."""

    acceptance: float | None  # examples / teacher rows
    gold_agreement: float | None  # mean score of all answers to rows with gold; an unparsable answer scores 0
    gold_agreement_kept: float | None = None  # of the answers that became examples
    rows_with_gold: int
    answers: int = 0  # teacher rows that are not failed requests
    labels_before: dict[str, int] = {}  # label -> answers, the most frequent first
    labels_after: dict[str, int] = {}  # label -> training rows of the set
    label_rows: dict[str, dict[str, int]] = {}  # task -> label -> training rows, 0 for a label that no row has
    rare_labels: dict[str, dict[str, int]] = {}  # task -> label -> training rows, below quality.min_label_rows
    label_shift: LabelShift | None = None
    against_gold: AgainstGold = AgainstGold()
    flags: dict[str, int] = {}  # flag -> examples that have it
    contamination: Contamination = Contamination()
    prompts: PromptDiversity = PromptDiversity()


class GoldSetSpec(Spec):
    """Filter, deduplicate and decontaminate the gold answers of all shards: examples.parquet, rejects.parquet."""

    raw: list[str]  # raw.parquet of every shard, in the order of the keys
    test: str  # raw.parquet of the test rows
    quality: QualityConfig
    learn: Learn
    out: str  # folder for the tables
    work: str  # folder for what does not fit into memory; gone at the end


class GoldSetCounts(_RefusedByReason):
    """prompts == no_gold + examples + rejected. The refused answers by reason follow as further fields."""

    prompts: int  # of the training and validation rows
    no_gold: int  # that have no gold answer
    examples: int
    train: int
    validation: int
    rejected: int


class GoldSetResult(Result[GoldSetCounts]):
    """The gold answers in examples.parquet; `data_version` is as in `SetResult`."""

    shards: int

    def by_reason(self) -> dict[str, int]:
        """Gold answers by what became of them."""
        return {ACCEPTED: self.counts.examples, **self.counts.by_reason}


class SetResult(SetFacts, Result[SetCounts]):
    """The set in examples.parquet; `data_version` is the `rows_hash` of its examples, without answers in `messages`."""

    shards: int

    def by_reason(self) -> dict[str, int]:
        """The teacher's answers by what became of them."""
        return {ACCEPTED: self.counts.examples, **self.counts.by_reason}
