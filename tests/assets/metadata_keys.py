"""The metadata that people want of each asset's materialization."""

USAGE = {"device", "dtype", "seconds", "gpu_seconds", "peak_memory_mb", "versions"}
METADATA = {
    "raw_dataset": {"dagster/row_count", "dagster/column_schema", "valid_share", "preview", "rows_by_task"},
    "eval_dataset": {"dagster/row_count", "preview"},
    "teacher_model": USAGE | {"revision", "parameters", "loss_curve", "training_config", "tensorboard"},
    "teacher_outputs": USAGE | {"dagster/row_count", "tokens_per_second", "success_share", "preview"},
    "validated_synthetic_set": {"dagster/row_count", "acceptance", "preview", "shards"},
    "student_base": USAGE | {"revision", "parameters"},
    "student_checkpoint": USAGE
    | {"revision", "parameters", "loss_curve", "final_loss", "training_config", "tensorboard"},
    "teacher_benchmark": USAGE | {"score", "score_low", "score_high", "dagster/column_schema"},
    "baseline_benchmark": USAGE | {"score", "score_low", "score_high", "dagster/column_schema"},
    "student_benchmark": USAGE | {"score", "score_low", "score_high", "dagster/column_schema"},
    "speed_benchmark": USAGE | {"ratios", "figures", "memory", "cost", "hardware", "withheld_ratios"},
    "eval_report": {"verdict", "headline", "scores", "report", "report_markdown"},
}
