"""The names of the files in an artefact's folder, for the code that writes them and the code that reads them.

raw_dataset, eval_dataset    raw.parquet, rejects.parquet
teacher_outputs              teacher.parquet
teacher_logits               logits.parquet, rejects.parquet
student_rollouts_1 …         rollouts.parquet, rejects.parquet
rollout_logits_1 …           logits.parquet, rejects.parquet
validated_synthetic_set      examples.parquet, rejects.parquet
gold_set                     examples.parquet, rejects.parquet
models                       model.json, model/; history.json where they were trained, adapter/ where by LoRA
student_sweep                trials.parquet, study.db, and the files of a trained model
benchmarks                   predictions.parquet, benchmark.json
answer_judgement             judgement.json
speed_benchmark              speed.json
student_export_gguf_q8_0 …   model/, predictions.parquet
eval_report                  report.html, report.md, report.json, items.parquet, earlier.parquet
released_student             release.json, releases.jsonl, scores.parquet, the files of a trained model, others in kept/
published_student            published.json
"""

RAW_FILE = "raw.parquet"
REJECTS_FILE = "rejects.parquet"
TEACHER_FILE = "teacher.parquet"
LOGITS_FILE = "logits.parquet"
ROLLOUTS_FILE = "rollouts.parquet"
EXAMPLES_FILE = "examples.parquet"
MODEL_FILE = "model.json"
FACULTY_FILE = "faculty.json"
WEIGHTS_FOLDER = "model"
ADAPTER_FOLDER = "adapter"
BESIDE_FILE = "beside.safetensors"  # of a checkpoint with adapters: what trains and is none of them
HISTORY_FILE = "history.json"
TRIALS_FILE = "trials.parquet"
STUDY_FILE = "study.db"
PREDICTIONS_FILE = "predictions.parquet"
BENCHMARK_FILE = "benchmark.json"
JUDGEMENT_FILE = "judgement.json"
SPEED_FILE = "speed.json"
REPORT_FILE = "report.json"
REPORT_PAGE = "report.html"
REPORT_MARKDOWN = "report.md"
ITEMS_FILE = "items.parquet"
EARLIER_FILE = "earlier.parquet"
CHAMPION_FILE = "champion.parquet"
RELEASE_FILE = "release.json"
DECISIONS_FILE = "releases.jsonl"
SCORES_FILE = "scores.parquet"
KEPT_FOLDER = "kept"
PUBLISHED_FILE = "published.json"
