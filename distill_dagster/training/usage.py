"""The lines of Python in a model card that ask the student, from the folder of the card or from the hub."""

SNIPPET = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

path = "."  # the folder of this card, or the model's name on the hub
tokenizer = AutoTokenizer.from_pretrained(path)
model = AutoModelForCausalLM.from_pretrained(path)
messages = [{"role": "user", "content": "Your question"}]
prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
output = model.generate(**prompt, max_new_tokens=MOST, do_sample=False)
print(tokenizer.decode(output[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))"""


def usage(max_new_tokens: int) -> str:
    """The card's section, with the longest answer in tokens."""
    snippet = SNIPPET.replace("MOST", str(max_new_tokens))
    form = "Ask it as the training rows ask: with the same system message, and the question in the same form."
    return f"## Use\n\n```python\n{snippet}\n```\n\n{form}"
