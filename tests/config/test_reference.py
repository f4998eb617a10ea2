"""docs/config.md is what the code says."""

from pathlib import Path

from distill_dagster.config.reference import reference

DOCUMENT = Path(__file__).parents[2] / "docs" / "config.md"


def test_the_document_is_up_to_date():
    assert DOCUMENT.read_text() == reference(), "run `python -m distill_dagster.config.reference > docs/config.md`"


def test_a_row_says_path_type_default_bounds_and_meaning():
    rows = {line.split("|")[1].strip(): line for line in reference().splitlines() if line.startswith("| `")}
    assert rows["`data.validation_share`"] == (
        "| `data.validation_share` | number | `0.05` | ≥ 0, < 0.5 "
        "| Share of the training groups held out if `validation` is empty. |"
    )
    assert "| required |" in rows["`task`"]
    assert "| integer or `null` | `3` | ≥ 1 |" in rows["`teacher.fit.early_stopping_patience`"]
    assert '| `error`, `warn` or `off` | `"error"` |' in rows["`checks.severity.no_leakage`"]


def test_a_shared_section_names_all_its_places():
    assert "The same fields exist at `compute.generate`, `compute.train` and `compute.benchmark`." in reference()
