"""The export formats: what each one writes, what it runs on, and which packages it needs.

gguf_q8_0     model/student.gguf, model/Modelfile            llama.cpp, Ollama
onnx_int8     model/model.onnx, model/genai_config.json, …   onnxruntime-genai
"""

import importlib.util

from distill_dagster.config import EXPORT_FORMATS, ExportFormat
from distill_dagster.errors import ComputeError
from distill_dagster.evaluation.speed.specs import EngineName

GGUF_FILE, MODELFILE = "student.gguf", "Modelfile"
PACKAGES = {  # of the extra `export`: name of the distribution -> name of the module
    "gguf": {"xllamacpp": "xllamacpp"},
    "onnx": {"onnxruntime-genai": "onnxruntime_genai", "onnx": "onnx", "onnx-ir": "onnx_ir"},
}
RUNS_ON = {"gguf": "llama.cpp and Ollama", "onnx": "onnxruntime-genai"}
RUNS: dict[str, EngineName] = {"gguf": "llama.cpp", "onnx": "onnxruntime-genai"}  # what it is timed with
TIMED_PROCESS = "distill_dagster.release.export.timed"  # the module that holds an export while it is timed
RUNTIMES = {"gguf": "xllamacpp", "onnx": "onnxruntime-genai"}  # the package whose version a result names


def family(form: ExportFormat) -> str:
    """`gguf` or `onnx`."""
    return form.partition("_")[0]


def precision(form: ExportFormat) -> str:
    """How the weights are stored: f16, q8_0, int8 and so on."""
    return form.partition("_")[2]


def format_of(name: str) -> ExportFormat:
    """The format of this name."""
    return next(form for form in EXPORT_FORMATS if form == name)


def missing_packages(form: ExportFormat) -> list[str]:
    """The packages of the extra `export` that the format needs and that are not installed."""
    return [name for name, module in PACKAGES[family(form)].items() if importlib.util.find_spec(module) is None]


def require_packages(form: ExportFormat) -> None:
    """Raise ComputeError if a package that the format needs is not installed."""
    if missing := missing_packages(form):
        raise ComputeError(f"{form} needs {', '.join(missing)}: install `distill-dagster[export]`")
