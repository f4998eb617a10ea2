"""One training step on tensors without data: the model's own code runs, and every tensor's size is counted.

    LlamaConfig(hidden_size=768, …), batch 32 x 1,024, bfloat16 arithmetic
    ->  StepMemory(weights=0.41 GiB, optimizer=0.82, gradients=0.41, activations=16.8, loss=1.5, peak=19.5)

torch's FakeTensorMode gives each operation's result its shape and dtype, and no memory. It plays a CPU, whose
attention keeps the same tensors for the backward pass as flash attention on a GPU does: queries, keys, values, the
output, and one number for each row of scores, never the scores. Autocast, adapters, gradient checkpointing and the
loss's kernel are those of the training. The batch is the largest that the config allows: `batch_size` rows of
`max_length` tokens, and every token counts in the loss.
"""

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from distill_dagster.config import LogitsConfig, TrainingConfig
from distill_dagster.config.signals import LogitsSignalConfig, StudentTrainingConfig
from distill_dagster.models.quiet import quietly
from distill_dagster.training.adapter import attach
from distill_dagster.training.memory.state import state_bytes, tensor_bytes, update_bytes
from distill_dagster.training.memory.torch_internals import FakeTensorMode
from distill_dagster.training.memory.tracking import PeakTracker
from distill_dagster.training.optimizers import CHUNK
from distill_dagster.training.signals.divergence import divergence_of
from distill_dagster.training.signals.kernel import CHUNK_ELEMENTS, head_loss, logits_loss
from distill_dagster.training.signals.logits import Distillation
from distill_dagster.training.signals.text import CrossEntropy

MOST_LAYERS, FOLLOWED = 6, (2, 4)  # a model of more layers is extrapolated from two of fewer: seconds, not a minute
AFTER_HEAD = ("final_logit_softcapping", "logit_scale", "logits_scaling")  # settings that change logits after the head


@dataclass(frozen=True, slots=True)
class StepMemory:
    """Bytes of a training step. The parts do not add up to the peak: activations go as gradients come."""

    weights: int
    optimizer: int  # its state
    gradients: int  # all of them, after the backward pass
    activations: int  # kept for the backward pass, at its start
    loss: int  # what the loss takes on top of the activations
    peak: int
    gathered: int = 0  # whole weights and gradients that a rank has at a time where the model is sharded

    def sharded(self, ranks: int) -> "StepMemory":
        """What each of so many ranks has where every weight, its gradient and its state are split among them.

        The peak is at the begin of the backward pass, where all activations exist, or at its end, where all gradients
        do.
        """
        own, state, gradients = (-(-size // ranks) for size in (self.weights, self.optimizer, self.gradients))
        passes = self.peak - self.weights - self.optimizer
        most = max(self.activations + self.loss, passes - self.gradients + gradients)
        return replace(self, weights=own, optimizer=state, gradients=gradients, peak=own + state + most + self.gathered)


@dataclass(frozen=True, slots=True)
class LargestBatch:
    """The largest batch of a training. `k`: stored tokens of a distribution; 0: the signal has none."""

    rows: int
    length: int  # tokens
    k: int = 0


def step_memory(config: Any, training: TrainingConfig, batch: LargestBatch, device: str) -> StepMemory:
    """The memory of a step of a model with this transformers config on `cuda` or `cpu`.

    Raises:
        TrainingError: the adapters do not fit the model.
        RuntimeError: the model's code reads values, such as one that routes tokens to experts: it cannot be followed.
    """
    layers = config.get_text_config().num_hidden_layers
    if layers <= MOST_LAYERS:
        return _followed(config, training, batch, device)
    few, more = (_followed(_with_layers(config, n), training, batch, device) for n in FOLLOWED)
    return _extrapolated(few, more, (layers - FOLLOWED[0]) / (FOLLOWED[1] - FOLLOWED[0]))


def _with_layers(config: Any, layers: int) -> Any:
    """The same model with fewer layers."""
    shorter = copy.deepcopy(config)
    text = shorter.get_text_config()
    text.num_hidden_layers = layers
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:layers]
    return shorter


def _extrapolated(few: StepMemory, more: StepMemory, times: float) -> StepMemory:
    """The layers beyond `few` take as much as those by which `more` has more of them."""

    def part(name: str) -> int:
        one, other = getattr(few, name), getattr(more, name)
        return round(one + times * (other - one))

    return StepMemory(*(part(field.name) for field in fields(StepMemory)))


def _followed(config: Any, training: TrainingConfig, batch: LargestBatch, device: str) -> StepMemory:
    """The memory of a step, all of whose operations are run without data."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    with quietly():
        model = _prepared(config, training, mode)
    with mode:
        weights = list(model.parameters())
        changing = [weight for weight in weights if weight.requires_grad]
        activations, loss, passes = _both_passes(model, training, batch, device)
        own, state = tensor_bytes(weights), state_bytes(changing, training.optimizer)
        gradients = tensor_bytes(changing)
        update = gradients + update_bytes(changing, training, CHUNK)
        gathered = _gathered(model)
    return StepMemory(own, state, gradients, activations, loss, own + state + max(passes, update), gathered)


def _gathered(model: Any) -> int:
    """Bytes of the head, which stays whole for both passes, and of a layer, of the next one, and of its gradients."""
    layers: Any = next(part for part in model.get_decoder().children() if isinstance(part, torch.nn.ModuleList))
    layer = max((tensor_bytes(layer.parameters()) for layer in layers), default=0)
    head, embeddings = (
        tensor_bytes(part.parameters()) for part in (model.get_output_embeddings(), model.get_input_embeddings())
    )
    return head + max(3 * layer, embeddings)


def _prepared(config: Any, training: TrainingConfig, mode: FakeTensorMode) -> Any:
    """The model as the training has it."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, trust_remote_code=False).train()
        if training.lora:
            attach(model, training.lora, training.seed)
    with mode:
        _move(model, training)
    if training.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model


def _move(model: Any, training: TrainingConfig) -> None:
    """Put the model on the CPU that the mode plays, in the precision of the training; adapters stay in float32."""
    made: dict[int, torch.nn.Parameter] = {}  # tied weights stay tied
    for module in model.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                is_adapter = training.lora is not None and weight.requires_grad
                dtype = torch.float32 if is_adapter else getattr(torch, training.weights)
                moved = torch.nn.Parameter(torch.empty(weight.shape, dtype=dtype), weight.requires_grad)
                module._parameters[name] = made.setdefault(id(weight), moved)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)


def _both_passes(model: Any, training: TrainingConfig, batch: LargestBatch, device: str) -> tuple[int, int, int]:
    """Bytes at the end of the layers, the most that the loss adds, and the peak of both passes."""
    terms = _terms(training, batch)
    with PeakTracker([*model.parameters(), *model.buffers()]) as tracker:
        with _arithmetic(device):
            states, is_apart = _last_states(model, batch)
            forward = tracker.peak
            activations, tracker.peak = tracker.live, tracker.live
            elements = CHUNK_ELEMENTS[device]
            head = model.get_output_embeddings()
            loss = head_loss(states, head, terms, elements) if is_apart else logits_loss(states, terms, elements)
            del states
        added = tracker.peak - activations
        loss.backward(torch.tensor(1.0))
    return activations, added, max(forward, tracker.peak)


def _last_states(model: Any, batch: LargestBatch) -> tuple[torch.Tensor, bool]:
    """What the loss reads of all positions but the first: hidden states, or logits if the model changes them."""
    ids = torch.zeros(batch.rows, batch.length, dtype=torch.int64)
    index = torch.zeros(_positions(batch), dtype=torch.int64)
    is_apart = not any(getattr(model.config, name, None) not in (None, 1, 1.0) for name in AFTER_HEAD)
    if is_apart:
        states = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state  # (B, T, H)
    else:
        states = model(input_ids=ids, use_cache=False).logits  # (B, T, V)
    return states[:, :-1].reshape(-1, states.shape[-1])[index], is_apart


def _positions(batch: LargestBatch) -> int:
    return batch.rows * (batch.length - 1)


@contextlib.contextmanager
def _arithmetic(device: str) -> Iterator[None]:
    """bfloat16 arithmetic on a GPU, as the Trainer has it."""
    with torch.autocast("cpu", torch.bfloat16, enabled=device == "cuda"):
        yield


def _terms(training: TrainingConfig, batch: LargestBatch) -> list[Any]:
    """The loss's terms with tensors of their sizes, as if every token counted."""
    positions = _positions(batch)
    tokens = torch.zeros(positions, dtype=torch.int64)
    weights = torch.zeros(positions)
    if not batch.k or not isinstance(training, StudentTrainingConfig):
        return [CrossEntropy(tokens[:, None], weights, training.label_smoothing)]
    objectives = [training.objective] if training.reads_logits else []
    if training.signal == "on_policy":
        objectives.append(training.on_rollouts.objective)
    return [term for objective in objectives for term in _of_distributions(objective, batch.k, tokens, weights)]


def _of_distributions(objective: LogitsSignalConfig, k: int, tokens: torch.Tensor, weights: torch.Tensor) -> list[Any]:
    """The terms of an objective on N stored distributions."""
    divergence = divergence_of(objective.divergence, skew=objective.skew, beta=objective.beta)
    ids, p = torch.zeros(len(tokens), k, dtype=torch.int64), torch.zeros(len(tokens), k + 1)
    if objective.temperature == 1:
        return [Distillation(ids, p, weights, divergence, ranks=tokens, by_token=weights)]
    term = Distillation(ids, p, weights, divergence, temperature=float(objective.temperature))
    return [CrossEntropy(tokens[:, None], weights), term]


def stored_tokens(training: TrainingConfig, logits: LogitsConfig | None) -> int:
    """The k of a batch: how many tokens of each distribution the signal reads."""
    if not isinstance(training, StudentTrainingConfig):
        return 0
    if training.signal == "on_policy":
        k = (logits or LogitsConfig()).k
        return 2 * k if training.rounds.keeps_students_tokens else k
    return logits.k if training.reads_logits and logits else 0
