"""Scripts of a few lines that ask the student, one for each form in which it is published; docs/export.md shows them.

`transformers` is the checkpoint; a format has the script of its family. They print the answer to `QUESTION`.
"""

import json
from pathlib import Path

QUESTION = "Which colour is the door?"
SCRIPTS = {
    "transformers": """\
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = {path}
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder)
messages = [{{"role": "user", "content": {question}}}]
prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
answer = model.generate(**prompt, max_new_tokens=64, do_sample=False)[0, prompt["input_ids"].shape[1] :]
print(tokenizer.decode(answer, skip_special_tokens=True))
""",
    "gguf": """\
import xllamacpp

settings = xllamacpp.CommonParams()
settings.model.path = {path} + "/student.gguf"
settings.n_ctx, settings.use_jinja = {length}, True
server = xllamacpp.Server(settings)  # it also listens at server.listening_address
messages = [{{"role": "user", "content": {question}}}]
reply = server.handle_chat_completions({{"messages": messages, "temperature": 0, "max_tokens": 64}})
print(reply["choices"][0]["message"]["content"])
""",
    "onnx": """\
import json
import onnxruntime_genai as og

model = og.Model({path})
tokenizer, generator = og.Tokenizer(model), og.Generator(model, og.GeneratorParams(model))
messages = json.dumps([{{"role": "user", "content": {question}}}])
prompt = tokenizer.encode(tokenizer.apply_chat_template(messages, add_generation_prompt=True))
generator.append_tokens(prompt)
while not generator.is_done():
    generator.generate_next_token()
print(tokenizer.decode(generator.get_sequence(0)[len(prompt) :]))
""",
}


def script(kind: str, path: Path | str, max_length: int = 2048, question: str = QUESTION) -> str:
    """The script for a form of the student (`transformers`, `gguf` or `onnx`) whose files are in `path`."""
    return SCRIPTS[kind].format(path=_quoted(str(path)), length=max_length, question=_quoted(question))


def _quoted(text: str) -> str:
    """A text as Python writes it, in the double quotes of the scripts."""
    return json.dumps(text, ensure_ascii=False, allow_nan=False)
