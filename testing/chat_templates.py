"""Chat templates with the structure of the well-known families: tokens, order, spaces and what is stripped.

They are short and written for the tests; `opening` is what each writes between its generation prompt and an answer.
A template that differs between an open and a finished turn says so in a comment.
"""

from dataclasses import dataclass
from typing import Any

REFUSES_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"


@dataclass(frozen=True)
class Family:
    template: str
    end: str  # the token that ends an answer
    specials: tuple[str, ...] = ()
    opening: str = ""
    metaspace: bool = False  # a tokenizer that marks a word by the space before it, and puts one before every text


def turns(header: str, footer: str, marker: str, *, before: str = "", content: str = "m.content") -> str:
    """Each message between a header and a footer, then the marker that the model continues."""
    return (
        f"{before}{{% for m in messages %}}{{{{ '{header}'.replace('ROLE', m.role) + {content} + '{footer}' }}}}"
        f"{{% endfor %}}{{% if add_generation_prompt %}}{{{{ '{marker}' }}}}{{% endif %}}"
    )


LLAMA_2 = """{{ bos_token }}{% if messages[0].role == 'system' %}{% set system = '<<SYS>>\\n' + messages[0].content + \
'\\n<</SYS>>\\n\\n' %}{% set messages = messages[1:] %}{% else %}{% set system = '' %}{% endif %}\
{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + (system if loop.first else '') + m.content.strip() \
+ ' [/INST]' }}{% else %}{{ ' ' + m.content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"""

MISTRAL_1 = """{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}\
{% elif m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}"""

# The system message stands before the last message if that is the user's: a finished turn has lost it.
MISTRAL_3 = """{{ bos_token }}{% if messages[0].role == 'system' %}{% set system = messages[0].content %}\
{% set messages = messages[1:] %}{% endif %}{% for m in messages %}{% if m.role == 'user' %}\
{% if loop.last and system is defined %}{{ '[INST] ' + system + '\\n\\n' + m.content + '[/INST]' }}\
{% else %}{{ '[INST] ' + m.content + '[/INST]' }}{% endif %}{% else %}\
{{ ' ' + m.content | trim + eos_token }}{% endif %}\
{% endfor %}"""

# The last answer carries an empty thought, as the prompt does where thinking is off; earlier ones have none.
QWEN_3 = """{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}{% if m.role == 'assistant' %}\
{% set text = m.content.split('</think>')[-1].lstrip('\\n') %}\
{% if loop.last %}{{ '<think>\\n\\n</think>\\n\\n' + text }}\
{% else %}{{ text }}{% endif %}{% else %}{{ m.content }}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}\
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}\
{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}{% endif %}"""

# The prompt opens a thought, and a finished turn has none.
DEEPSEEK_R1 = """{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}\
{% elif m.role == 'user' %}{{ '<|User|>' + m.content }}{% else %}\
{{ '<|Assistant|>' + m.content.split('</think>')[-1] + eos_token }}{% endif %}\
{% endfor %}{% if add_generation_prompt %}{{ '<|Assistant|><think>\\n' }}{% endif %}"""

# The prompt of an open turn closes an empty thought, and a finished turn has none.
SMOLLM_3 = turns("<|im_start|>ROLE\\n", "<|im_end|>\\n", "<|im_start|>assistant\\n<think>\\n\\n</think>\\n")

# The prompt ends in a line break, and a finished turn has a space there.
LINE_OR_SPACE = """{% for m in messages %}\
{{ m.role + ':' + ('\\n' if m.role == 'user' else ' ') + m.content + '<|end|>' }}\
{% endfor %}{% if add_generation_prompt %}{{ 'assistant:\\n' }}{% endif %}"""

# A finished turn names the speaker in another way than the prompt.
OTHER_HEADER = """{% for m in messages %}\
{{ ('<|bot|>' if m.role == 'assistant' else '<|human|>') + m.content + '<|end|>' }}\
{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"""

GPT_OSS = """{{ '<|start|>system<|message|>Knowledge until June. Today: ' + strftime_now('%Y-%m-%d') + '<|end|>' }}\
{% for m in messages %}{% if m.role == 'assistant' %}\
{{ '<|start|>assistant<|channel|>final<|message|>' + m.content + ('<|return|>' if loop.last else '<|end|>') }}\
{% else %}{{ '<|start|>' + m.role + '<|message|>' + m.content + '<|end|>' }}{% endif %}{% endfor %}\
{% if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}"""

CHATML = ("<|im_start|>", "<|im_end|>")
FAMILIES: dict[str, Family] = {
    "llama-2": Family(LLAMA_2, "</s>", opening=" ", metaspace=True),
    "llama-3": Family(
        turns(
            "<|head|>ROLE<|/head|>\\n\\n",
            "<|eot|>",
            "<|head|>assistant<|/head|>\\n\\n",
            before="{{ bos_token }}",
            content="m.content | trim",
        ),
        "<|eot|>",
        ("<|head|>", "<|/head|>"),
    ),
    "mistral-v1": Family(MISTRAL_1, "</s>", opening=" ", metaspace=True),
    "mistral-v3": Family(MISTRAL_3, "</s>", ("[INST]", "[/INST]"), opening=" ", metaspace=True),
    "gemma": Family(
        REFUSES_SYSTEM
        + "{{ bos_token }}{% for m in messages %}{% set role = 'model' if m.role == 'assistant' else m.role %}"
        "{{ '<start_of_turn>' + role + '\\n' + (m.content | trim) + '<end_of_turn>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}",
        "<end_of_turn>",
        ("<start_of_turn>",),
        metaspace=True,
    ),
    "phi-3": Family(turns("<|ROLE|>\\n", "<|end|>\\n", "<|assistant|>\\n"), "<|end|>", ("<|user|>", "<|assistant|>")),
    "phi-4": Family(
        turns("<|im_start|>ROLE<|im_sep|>", "<|im_end|>", "<|im_start|>assistant<|im_sep|>"),
        "<|im_end|>",
        ("<|im_start|>", "<|im_sep|>"),
    ),
    "qwen-2.5": Family(
        turns("<|im_start|>ROLE\\n", "<|im_end|>\\n", "<|im_start|>assistant\\n"), CHATML[1], CHATML[:1]
    ),
    "qwen-3": Family(QWEN_3, CHATML[1], ("<|im_start|>", "<think>", "</think>")),
    "deepseek-r1": Family(DEEPSEEK_R1, "<|eos|>", ("<|User|>", "<|Assistant|>"), opening="\n</think>\n\n"),
    "smollm-2": Family(
        turns(
            "<|im_start|>ROLE\\n",
            "<|im_end|>\\n",
            "<|im_start|>assistant\\n",
            before="{% if messages[0].role != 'system' %}{{ '<|im_start|>system\\nHelp.<|im_end|>\\n' }}{% endif %}",
        ),
        CHATML[1],
        CHATML[:1],
    ),
    "smollm-3": Family(SMOLLM_3, CHATML[1], CHATML[:1]),
    "zephyr": Family(turns("<|ROLE|>\\n", "</s>\\n", "<|assistant|>\\n"), "</s>", metaspace=True),
    "command-r": Family(
        "{{ bos_token }}{% for m in messages %}{{ '<|START|>' + {'user': '<|USER|>', 'assistant': '<|BOT|>', "
        "'system': '<|SYSTEM|>'}[m.role] + m.content.strip() + '<|STOP|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|START|><|BOT|>' }}{% endif %}",
        "<|STOP|>",
        ("<|START|>", "<|USER|>", "<|BOT|>", "<|SYSTEM|>"),
    ),
    "granite": Family(
        turns(
            "<|role|>ROLE<|/role|>",
            "<|eot|>\\n",
            "<|role|>assistant<|/role|>",
            before="{{ '<|role|>system<|/role|>Today is ' + strftime_now('%B %d, %Y') + '.<|eot|>\\n' }}",
        ),
        "<|eot|>",
        ("<|role|>", "<|/role|>"),
    ),
    "olmo": Family(
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}"
        "{{ '<|assistant|>\\n' + m.content + eos_token + ('' if loop.last else '\\n') }}"
        "{% else %}{{ '<|' + m.role + '|>\\n' + m.content + '\\n' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}",
        "<|endoftext|>",
    ),
    # No token ends an answer, and a line break parts two turns.
    "falcon": Family(
        "{% for m in messages %}{% if not loop.first %}{{ '\\n' }}{% endif %}"
        "{{ m.role.capitalize() + ': ' + m.content.strip() }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '\\nAssistant:' }}{% endif %}",
        "<|endoftext|>",
        opening=" ",
    ),
    "gpt-oss": Family(
        GPT_OSS,
        "<|return|>",
        ("<|start|>", "<|channel|>", "<|message|>", "<|end|>"),
        opening="<|channel|>final<|message|>",
    ),
    "other-header": Family(OTHER_HEADER, "<|end|>", ("<|bot|>", "<|human|>", "<|assistant|>")),
    "line-or-space": Family(LINE_OR_SPACE, "<|end|>"),
}


def tokenizer_of(family: Family, texts: list[str]) -> Any:
    """A small tokenizer of the family's kind, with its special tokens and its template."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    begin, specials = "<s>", ["<unk>", "<s>", family.end, *family.specials]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if family.metaspace:
        tokenizer: Any = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=False))
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(content=" ", left=1)]
        )
        alphabet = sorted(set("".join(texts)) | set("▁<>|[]/\n:.ISTN") | {chr(i) for i in range(33, 127)})
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    wrapped: Any = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=begin, eos_token=family.end, clean_up_tokenization_spaces=False
    )
    wrapped.chat_template = family.template
    return wrapped
