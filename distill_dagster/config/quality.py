"""`quality:` - which rows may train the student - and `checks:` - which shards, sets and models are accepted."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from distill_dagster.config.section import Section
from distill_dagster.tasks.folding import composed

Severity = Literal["error", "warn", "off"]  # blocks what follows; alerts people; is not run


def _off(value: Any) -> Any:
    return "off" if value is False else value  # YAML reads a bare `off` as false


class QualityConfig(Section):
    """Which of the teacher's answers the student learns, see docs/quality.md."""

    labels: list[str] | None = Field(
        default=None,
        description="The label set. If left out, the labels that the task fixes, or else the gold labels in the rows.",
    )
    require_gold_agreement: bool = Field(
        default=False, description="Drop answers that score 0 against the row's gold answer."
    )
    personal_data: Literal["keep", "flag", "redact", "reject"] = Field(
        default="flag", description="What to do with rows that hold secrets or personal data; `keep` does not look."
    )
    near_duplicate_similarity: float | None = Field(
        default=0.9,
        ge=0.7,
        le=1,
        description="Least Jaccard similarity of 5-grams at which two prompts count as one; `null`: only if equal.",
    )
    contamination: Literal["exact", "near"] = Field(
        default="near",
        description="Which rows count as copies of held-out rows: `exact` takes equal questions, `near` also similar "
        "ones, by 8-grams of words and 5-grams of characters.",
    )
    max_label_share: float | None = Field(
        default=None, gt=0, le=1, description="Largest share of the training rows that one label may have."
    )
    min_label_rows: int = Field(
        default=10, ge=0, description="Labels with fewer training rows are reported, and their rows flagged."
    )

    @field_validator("labels")
    @classmethod
    def _tell_apart(cls, labels: list[str] | None) -> list[str] | None:
        """Each label is a text of its own; those that differ in blanks or invisible characters alone are one."""
        if labels is None:
            return None
        if not labels:
            raise ValueError("the list is empty, so no answer would be a label: name the labels, or remove the field")
        places: dict[str, int] = {}
        for number, label in enumerate(labels, 1):
            form = composed(label)
            if not form:
                raise ValueError(f"label {number} is blank ({label!r}): give it a text, or remove it")
            if form in places:
                raise ValueError(
                    f"label {number} ({label!r}) is the same as label {places[form]}: remove one of the two"
                )
            places[form] = number
        return labels


def _share(default: float, description: str) -> float:
    return Field(default=default, ge=0, le=1, description=description)


def _severity(default: Severity, passes_when: str) -> Any:
    return Field(default=default, description=f"Passes if {passes_when}.")


AnySeverity = Annotated[Severity, BeforeValidator(_off, json_schema_input_type=Severity | Literal[False])]
WarnOrOff = Annotated[
    Literal["warn", "off"], BeforeValidator(_off, json_schema_input_type=Literal["warn", "off"] | Literal[False])
]


class SeverityConfig(Section):
    """What happens if a check fails: `error` blocks what follows, `warn` alerts people, `off` does not run the check.

    docs/checks.md describes the checks.
    """

    enough_valid_rows: AnySeverity = _severity("error", "enough rows of the source file are valid")
    few_duplicate_rows: AnySeverity = _severity("warn", "few rows of the source file repeat an earlier question")
    ids_differ: AnySeverity = _severity("error", "no row has the id of another row in another source file (E011)")
    gold_in_form: AnySeverity = _severity("warn", "every gold answer has the form of its task")
    enough_valid_test_rows: AnySeverity = _severity("error", "enough held-out rows are valid")
    test_gold_in_form: AnySeverity = _severity("warn", "every held-out gold answer has the form of its task")
    enough_answers: AnySeverity = _severity("error", "the teacher answered enough of the shard's prompts")
    few_truncated: AnySeverity = _severity("error", "few answers were cut off")
    few_refusals: AnySeverity = _severity("error", "few answers refuse")
    few_off_form: AnySeverity = _severity("error", "few answers are empty or lack the form of the task")
    few_degenerate: AnySeverity = _severity("error", "few answers repeat themselves or echo the prompt")
    little_personal_data: AnySeverity = _severity("warn", "few rows hold secrets or personal data")
    cost_within_budget: AnySeverity = _severity("warn", "the project has spent little enough of its budget")
    steady_answer_length: AnySeverity = _severity("warn", "answers are about as long as in the version before")
    every_answer_is_accounted_for: AnySeverity = _severity("error", "every answer has its logits or a reject")
    enough_teacher_rows: AnySeverity = _severity("error", "the teacher gave enough answers to filter (E009)")
    enough_accepted: AnySeverity = _severity("error", "the filters accepted enough answers")
    enough_training_rows: AnySeverity = _severity("error", "enough rows are left to train on (E009)")
    no_leakage: AnySeverity = _severity("error", "no training row asks what a test row asks")
    little_contamination: AnySeverity = _severity("warn", "few rows were refused as copies of held-out rows (E012)")
    balanced_labels: AnySeverity = _severity("warn", "every label has rows, in a tolerable ratio")
    teacher_agrees_with_gold: AnySeverity = _severity("warn", "the teacher has many of the gold answers right")
    teacher_overlaps_gold: AnySeverity = _severity("warn", "the teacher's summaries and replies resemble the gold ones")
    teacher_above_chance: AnySeverity = _severity("warn", "the teacher scores above the chance level on held-out rows")
    few_cut_off: AnySeverity = _severity("warn", "few answers of teacher and student were cut off")
    loss_is_finite_and_fell: AnySeverity = _severity("error", "every loss is finite, and the loss fell")
    loads_and_generates: AnySeverity = _severity("error", "the published student loads and answers")
    verdict_is_pass: AnySeverity = _severity("error", "the report's verdict is PASS")
    teacher_adds_to_gold: AnySeverity = _severity(
        "warn", "the same student trained on gold answers alone is not shown to score better"
    )
    few_looks_at_the_test_set: WarnOrOff = _severity("warn", "few students were judged on the present held-out rows")
    export_reads_prompts_alike: AnySeverity = _severity("error", "an export reads every prompt as the same tokens")
    export_keeps_score: AnySeverity = _severity("error", "an export scores nearly as well as the checkpoint")
    column_schema_change: WarnOrOff = Field(
        default="warn", description="Passes if a table has the columns of the version before. It never blocks."
    )


class ChecksConfig(Section):
    """The limits of the checks, and what a failure of each one does, see docs/checks.md."""

    min_valid_share: float = _share(0.9, "Least share of a source file's rows that must be valid.")
    max_duplicate_share: float = _share(
        0.1, "Largest share of a source file's rows that may repeat an earlier question."
    )
    min_success_share: float = _share(0.7, "Least share of a shard's prompts that the teacher must answer.")
    max_truncated_share: float = _share(0.1, "Largest share of a shard's answers that may be cut off.")
    max_refusal_share: float = _share(0.05, "Largest share of a shard's answers that may refuse.")
    max_off_form_share: float = _share(
        0.2, "Largest share of a shard's answers that may be empty or lack the form of the task."
    )
    max_degenerate_share: float = _share(
        0.05,
        "Largest share of a shard's answers that may repeat themselves, echo the prompt, or call themselves a model.",
    )
    max_personal_data_share: float = _share(
        0.02, "Largest share of a shard's rows that may hold secrets or personal data."
    )
    max_budget_share: float = _share(0.8, "Largest share of `teacher.budget_usd` that may be spent.")
    max_length_change: float = Field(
        default=0.5,
        gt=0,
        description="Largest change of a shard's median answer length, as a share of the length before.",
    )
    min_teacher_rows: int = Field(
        default=65, ge=1, description="Fewest answers that the filters may start from (E009)."
    )
    min_train_rows: int = Field(default=65, ge=1, description="Fewest rows that may train a student (E009).")
    min_acceptance: float = _share(0.5, "Least share of the teacher's answers that must pass the filters.")
    max_contaminated_share: float = _share(0.05, "Largest share of the source rows that may copy a held-out row.")
    max_label_ratio: float = Field(
        default=20.0, ge=1, description="Largest ratio of the most frequent label's rows to the rarest label's."
    )
    min_gold_agreement: float = _share(
        0.5, "Least share of right answers of the teacher, in tasks with right and wrong answers that have gold ones."
    )
    min_gold_overlap: float = _share(
        0.1,
        "Least mean score of the teacher's answers against gold in tasks scored by overlap, summarization and "
        "conversation. docs/checks.md says what unrelated texts score.",
    )
    max_looks: int = Field(
        default=20, ge=1, description="Most students that may be judged for a release on the same held-out rows."
    )
    max_cut_off_share: float = _share(
        0.05, "Largest share of the teacher's or the student's answers that `evaluation.max_new_tokens` may cut off."
    )
    max_export_loss: float = _share(
        0.01, "Largest loss of score of an export against the checkpoint, at the low end of the 95 % interval."
    )
    severity: SeverityConfig = Field(default_factory=SeverityConfig, description="What a failure does, check by check.")
