"""`model:`, `training:` and `generation:` - a model, how it is trained, and how a teacher answers."""

from typing import Literal

from pydantic import Field, model_validator

from distill_dagster.config.section import Engine, Section


class ModelConfig(Section):
    """A causal language model: an existing one by `name`, or a new one from `architecture` and `settings`.

    A new model starts from random weights with a byte-level BPE tokenizer trained on the training rows
    (`tokenizer: train`) or taken from the teacher (`tokenizer: teacher`, students only).
    """

    name: str | None = Field(None, description="a folder, or a model's name on the Hugging Face hub")
    revision: str | None = Field(None, description="the hub commit to pin; left out, the newest is pinned and recorded")
    architecture: str | None = Field(None, description="transformers model type of a new model, such as llama or gpt2")
    settings: dict[str, int | float | bool | str] = Field(
        {}, description="the new model's config fields, such as hidden_size"
    )
    tokenizer: Literal["train", "teacher"] = Field("train", description="where a new model's tokenizer comes from")
    vocab_size: int = Field(2048, ge=300, le=262_144, description="size of a tokenizer that is trained")
    seed: int = Field(0, ge=0, description="seed of a new model's weights")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="weights in memory; auto: bfloat16 on a GPU, float32 on a CPU"
    )

    @model_validator(mode="after")
    def _name_or_architecture(self) -> "ModelConfig":
        if (self.name is None) == (self.architecture is None):
            raise ValueError("give exactly one of `name` (an existing model) and `architecture` (a new one)")
        if self.name and self.settings:
            raise ValueError("`settings` describe a new model; an existing one brings its own")
        if self.name:
            fields = type(self).model_fields
            idle = [n for n in ("tokenizer", "vocab_size", "seed") if getattr(self, n) != fields[n].default]
            if idle:
                raise ValueError(f"`{idle[0]}` is for a new model; an existing one brings its own: remove it")
        elif self.revision:
            raise ValueError(f"`revision: {self.revision}` pins a model of the hub; a new one has none: remove it")
        return self


class TrainingConfig(Section):
    """How a model is trained: full fine-tuning with AdamW, linear warm-up and cosine decay.

    The defaults are the usual ones for distilling into a pretrained student (learning rate 1e-5 to 5e-5,
    2 to 5 epochs); a model made from scratch wants a rate about a hundred times higher, and more epochs.
    """

    learning_rate: float = Field(2e-5, gt=0, le=0.1, description="peak learning rate")
    epochs: float = Field(3, gt=0, le=1000, description="passes over the training rows")
    batch_size: int = Field(
        16, ge=1, le=4096, description="rows in one optimizer step on one device, before accumulation"
    )
    gradient_accumulation: int = Field(1, ge=1, le=1024, description="batches summed into one optimizer step")
    warmup_share: float = Field(0.05, ge=0, lt=1, description="share of the steps over which the rate rises")
    weight_decay: float = Field(0.01, ge=0, le=1, description="AdamW's decoupled weight decay")
    max_grad_norm: float = Field(1.0, gt=0, description="gradients are clipped to this norm")
    max_length: int = Field(1024, ge=16, description="longest row in tokens; longer ones are refused, not cut")
    prompt_loss_weight: float = Field(0.0, ge=0, le=1, description="weight of the prompt's tokens in the loss")
    evaluations: int = Field(8, ge=1, le=1000, description="validation losses over the whole training")
    early_stopping_patience: int | None = Field(
        3, ge=1, description="stop after so many validation losses without a better one; null: never"
    )
    keep: Literal["best", "last"] = Field(
        "best", description="weights that are kept: those of the best validation loss, or those of the last step"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of the target that is spread over all tokens")
    seed: int = Field(0, ge=0, description="seed of the order of rows and of dropout")


class GenerationConfig(Section):
    """How the teacher answers."""

    temperature: float = Field(0.0, ge=0, le=2, description="0 is greedy decoding")
    top_p: float = Field(1.0, gt=0, le=1, description="nucleus sampling; only with a temperature above 0")
    max_new_tokens: int = Field(256, ge=1, le=131_072, description="an answer that reaches it counts as cut off")
    samples: int = Field(1, ge=1, le=64, description="answers for one prompt; more than 1 needs a temperature above 0")
    engine: Engine = Field(
        "auto",
        description="of a local teacher. continuous: a slot is filled again when its answer ends; batched: "
        "transformers' generate on batches of similar length; auto: continuous where the model can be run so",
    )
    batch_tokens: int = Field(16_384, ge=64, description="padded prompt tokens plus new tokens held at once")
    seed: int = Field(0, ge=0, description="seed of sampling")

    @model_validator(mode="after")
    def _samples_differ(self) -> "GenerationConfig":
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                f"{self.samples} samples at temperature 0 are {self.samples} times the same answer: "
                "raise `temperature` or set `samples: 1`"
            )
        return self
