"""`model:`, `training:` and `generation:` - a model, its training, and how a teacher generates answers."""

from typing import Any, Literal

from pydantic import Field, model_validator

from distill_dagster.config.lora import LoraConfig
from distill_dagster.config.section import Engine, Section

MEMORY_ONLY = ("gradient_checkpointing", "parallel")  # fields of a training that change no weight


class ModelConfig(Section):
    """A causal language model: an existing one by `name`, or a new one from `architecture` and `settings`.

    A new model starts from random weights. Its tokenizer is a byte-level BPE trained on the training rows
    (`tokenizer: train`) or the teacher's (`tokenizer: teacher`, for students only).
    """

    name: str | None = Field(
        default=None,
        description="An existing model: its folder, its name on the Hugging Face hub, or, for `teacher.model` and "
        "`student.model`, a GGUF file.",
    )
    revision: str | None = Field(
        default=None, description="Hub commit to load. If left out, the newest commit is pinned and recorded."
    )
    architecture: str | None = Field(
        default=None, description="A new model: its transformers model type, such as `llama` or `gpt2`."
    )
    settings: dict[str, int | float | bool | str] = Field(
        default={}, description="Fields of the new model's transformers config, such as `hidden_size`."
    )
    tokenizer: Literal["train", "teacher"] = Field(
        default="train",
        description="The new model's tokenizer: one trained on the training rows, or the teacher's.",
    )
    vocab_size: int = Field(
        default=2048, ge=300, le=262_144, description="Vocabulary size of a tokenizer that is trained."
    )
    seed: int = Field(default=0, ge=0, description="Seed of a new model's weights.")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="Precision of the weights. `auto` is bfloat16 on a GPU and float32 on a CPU."
    )

    @model_validator(mode="after")
    def _name_or_architecture(self) -> "ModelConfig":
        if (self.name is None) == (self.architecture is None):
            raise ValueError("give exactly one of `name` (an existing model) and `architecture` (a new one)")
        if self.name and self.settings:
            raise ValueError("`settings` describe a new model; an existing one has its own: remove them")
        if self.name:
            fields = type(self).model_fields
            idle = [n for n in ("tokenizer", "vocab_size", "seed") if getattr(self, n) != fields[n].default]
            if idle:
                raise ValueError(f"`{idle[0]}` is for a new model; an existing one has its own: remove it")
        elif self.revision:
            raise ValueError(f"`revision: {self.revision}` pins a model of the hub; a new one has none: remove it")
        return self


class TrainingConfig(Section):
    """Fine-tuning with AdamW, linear warm-up and cosine decay: of all weights, or of low-rank adapters.

    The defaults suit the distillation into a pretrained student (learning rate 1e-5 to 5e-5, 2 to 5 epochs). A model
    with random weights needs a learning rate about a hundred times higher, and more epochs.
    """

    learning_rate: float = Field(default=2e-5, gt=0, le=0.1, description="Peak learning rate.")
    epochs: float = Field(default=3.0, gt=0, le=1000, description="Passes over the training rows.")
    batch_size: int = Field(
        default=16,
        ge=1,
        le=4096,
        description="Rows in one batch, before accumulation. Where several devices train, they share them.",
    )
    gradient_accumulation: int = Field(
        default=1, ge=1, le=1024, description="Batches whose gradients are summed into one optimizer step."
    )
    warmup_share: float = Field(
        default=0.05, ge=0, lt=1, description="Share of the steps during which the learning rate rises."
    )
    weight_decay: float = Field(default=0.01, ge=0, le=1, description="AdamW's decoupled weight decay.")
    max_grad_norm: float = Field(default=1.0, gt=0, description="Norm to which gradients are clipped.")
    max_length: int = Field(
        default=1024, ge=16, description="Longest row in tokens. Longer rows are rejected, not cut."
    )
    prompt_loss_weight: float = Field(
        default=0.0, ge=0, le=1, description="Weight of the prompt's tokens in the loss; the answer's have weight 1."
    )
    evaluations: int = Field(
        default=8, ge=1, le=1000, description="How many times the validation loss is measured during the training."
    )
    early_stopping_patience: int | None = Field(
        default=3, ge=1, description="Stop after this many validation losses without a new minimum; `null`: never."
    )
    keep: Literal["best", "last"] = Field(
        default="best", description="Which weights to keep: those with the lowest validation loss, or the last ones."
    )
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="Share of the target probability that is spread over all tokens."
    )
    seed: int = Field(default=0, ge=0, description="Seed of the row order, of dropout and of new adapters.")
    lora: LoraConfig | None = Field(
        default=None,
        exclude_if=lambda lora: lora is None,  # a config without it keeps its fingerprint
        description="Train low-rank adapters (LoRA) and leave the model's own weights as they are. The published model "
        "has the adapters merged into its weights; `adapter/` beside it holds them apart.",
    )
    weights: Literal["float32", "bfloat16"] = Field(
        default="float32",
        exclude_if=lambda weights: weights == "float32",
        description="Precision of the model's weights during the training. `bfloat16` halves weights and gradients; "
        "AdamW's moments and new adapters stay in float32. Without `lora`, updates are rounded stochastically.",
    )
    optimizer: Literal["adamw", "adamw_8bit", "adafactor"] = Field(
        default="adamw",
        exclude_if=lambda optimizer: optimizer == "adamw",
        description="`adamw_8bit` keeps AdamW's moments in 8 bits (the extra `bitsandbytes`); `adafactor` keeps sums "
        "over the rows and the columns of a weight.",
    )
    gradient_checkpointing: bool = Field(
        default=False,
        exclude_if=lambda checkpointing: not checkpointing,
        description="Keep only the inputs of each layer for the backward pass and compute the rest again: less memory, "
        "about a third more arithmetic, the same gradients. A change makes nothing stale.",
    )

    parallel: Literal["auto", "ddp", "fsdp"] = Field(
        default="auto",
        exclude_if=lambda parallel: parallel == "auto",
        description="How several devices share the training (`compute.train.gpus` and `compute.fit.gpus`): each with a "
        "copy of the model (`ddp`), or each with a part of every weight, gradient and optimizer's state (`fsdp`, which "
        "is FSDP2). `auto` is `ddp` if the memory plan of a step fits one device, else `fsdp`. A change makes nothing "
        "stale.",
    )

    @model_validator(mode="after")
    def _shards_its_optimizer(self) -> "TrainingConfig":
        if self.parallel == "fsdp" and self.optimizer != "adamw":
            raise ValueError(
                f"`parallel: fsdp` shards the optimizer's state, which `optimizer: {self.optimizer}` does not support: "
                "use `optimizer: adamw`, or `parallel: ddp`"
            )
        return self

    @model_validator(mode="after")
    def _small_updates_count(self) -> "TrainingConfig":
        if self.weights == "bfloat16" and self.lora is None and self.optimizer != "adamw":
            raise ValueError(
                f"`weights: bfloat16` with `optimizer: {self.optimizer}` would round most updates to 0, because "
                "bfloat16 has 8 bits: use `optimizer: adamw`, which rounds stochastically, or `lora`, whose adapters "
                "are float32, or `weights: float32`"
            )
        return self

    @property
    def shaping(self) -> dict[str, Any]:
        """What decides the weights."""
        return self.model_dump(exclude=set(MEMORY_ONLY))


class GenerationConfig(Section):
    """How the teacher generates its answers."""

    temperature: float = Field(default=0.0, ge=0, le=2, description="Sampling temperature; 0 decodes greedily.")
    top_p: float = Field(
        default=1.0, gt=0, le=1, description="Nucleus sampling; has an effect only at a temperature above 0."
    )
    max_new_tokens: int = Field(
        default=256,
        ge=1,
        le=131_072,
        description="Longest answer in tokens. An answer that reaches this limit counts as cut off.",
    )
    samples: int = Field(
        default=1, ge=1, le=64, description="Answers to each prompt. More than 1 needs a temperature above 0."
    )
    engine: Engine = Field(
        default="auto",
        description="Engine of a local teacher. `continuous` gives a finished answer's slot to the next prompt; "
        "`batched` calls transformers' generate on batches of similar length; `auto` uses `continuous` if the model "
        "supports it. `vllm` is vLLM on the leased GPUs (the extra `vllm`); it needs `compute.backend: subprocess`. "
        "A change makes nothing stale.",
    )
    batch_tokens: int = Field(
        default=16_384,
        ge=64,
        description="Tokens held at once, padded prompts and new tokens together. Lower it if memory runs out. With "
        "`engine: vllm`, the longest prompt with its answer; vLLM decides how many it holds.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of sampling.")

    @model_validator(mode="after")
    def _samples_differ(self) -> "GenerationConfig":
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                f"{self.samples} samples at temperature 0 are {self.samples} times the same answer: "
                "raise `temperature` or set `samples: 1`"
            )
        return self
