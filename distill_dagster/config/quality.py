"""What a row must be to train the student (`quality`), and when a shard, the set or a model is refused (`checks`)."""

from typing import Any, Literal

from pydantic import Field, field_validator

from distill_dagster.config.section import Section

Severity = Literal["error", "warn", "off"]  # holds up what follows; is told; is not looked at


class QualityConfig(Section):
    """Which teacher rows are in the set that the student learns, see docs/quality.md."""

    labels: list[str] | None = Field(
        None, description="the label set; left out: the task's own, or for classification the gold labels seen"
    )
    require_gold_agreement: bool = Field(False, description="drop answers that the row's gold answer scores 0")
    personal_data: Literal["keep", "flag", "redact", "reject"] = Field(
        "flag", description="what becomes of rows in which a secret or personal data is found"
    )
    near_duplicate_similarity: float | None = Field(
        0.9, ge=0.7, le=1, description="5-gram Jaccard from which two prompts are one; null: only equal ones are"
    )
    contamination: Literal["exact", "near"] = Field(
        "near", description="exact: rows that ask what a held-out row asks; near: also by 8-grams and character 5-grams"
    )
    max_label_share: float | None = Field(None, gt=0, le=1, description="cap on one label's share of the training rows")
    min_label_rows: int = Field(10, ge=0, description="a label with fewer training rows is named, its rows flagged")


def _share(default: float, description: str) -> float:
    return Field(default, ge=0, le=1, description=description)


class SeverityConfig(Section):
    """How much a failed check matters, check by check; what each one looks at is in docs/checks.md."""

    enough_valid_rows: Severity = "error"
    few_duplicate_rows: Severity = "warn"
    gold_in_form: Severity = "warn"
    enough_valid_test_rows: Severity = "error"
    test_gold_in_form: Severity = "warn"
    enough_answers: Severity = "error"
    few_truncated: Severity = "error"
    few_refusals: Severity = "error"
    few_off_form: Severity = "error"
    few_degenerate: Severity = "error"
    little_personal_data: Severity = "warn"
    cost_within_budget: Severity = "warn"
    steady_answer_length: Severity = "warn"
    every_answer_is_accounted_for: Severity = "error"
    enough_teacher_rows: Severity = "error"
    enough_accepted: Severity = "error"
    enough_training_rows: Severity = "error"
    no_leakage: Severity = "error"
    little_contamination: Severity = "warn"
    balanced_labels: Severity = "warn"
    teacher_agrees_with_gold: Severity = "warn"
    loss_is_finite_and_fell: Severity = "error"
    loads_and_generates: Severity = "error"
    verdict_is_pass: Severity = "error"
    column_schema_change: Literal["warn", "off"] = "warn"  # Dagster's own check, which never blocks

    @field_validator("*", mode="before")
    @classmethod
    def _bare_off(cls, value: Any) -> Any:
        return "off" if value is False else value  # how YAML reads a bare `off`


class ChecksConfig(Section):
    """The limits of the asset checks, and what a failure of each one does, see docs/checks.md."""

    min_valid_share: float = _share(0.9, "share of a source file's rows that must be valid")
    max_duplicate_share: float = _share(0.1, "share of a source file's rows that may ask what an earlier one asks")
    min_success_share: float = _share(0.7, "share of a shard's requests that the teacher must answer")
    max_truncated_share: float = _share(0.1, "share of a shard's answers that may end at the token limit")
    max_refusal_share: float = _share(0.05, "share of a shard's answers that may decline to answer")
    max_off_form_share: float = _share(0.2, "share of a shard's answers that may miss the task's form, or be empty")
    max_degenerate_share: float = _share(0.05, "share of a shard's answers that may repeat, echo, or speak of a model")
    max_personal_data_share: float = _share(0.02, "share of a shard's answers that may hold secrets or personal data")
    max_budget_share: float = _share(0.8, "share of teacher.budget_usd that may be spent")
    max_length_change: float = Field(
        0.5, gt=0, description="how far a shard's median answer length may move, as a share of what it was"
    )
    min_teacher_rows: int = Field(65, ge=1, description="fewest answers to be filtered (E009)")
    min_train_rows: int = Field(65, ge=1, description="fewest rows that may train a student (E009)")
    min_acceptance: float = _share(0.5, "share of the teacher's rows that must pass the filters")
    max_contaminated_share: float = _share(0.05, "share of the source rows that may ask what a held-out row asks")
    max_label_ratio: float = Field(
        20, ge=1, description="how many times the rarest label's training rows the most frequent one may have"
    )
    min_gold_agreement: float = _share(0.5, "mean score of the teacher's answers against gold, where there is gold")
    severity: SeverityConfig = SeverityConfig()
