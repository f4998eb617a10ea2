"""`student.training`: the student's training, and the signal that it learns from."""

from typing import Any, Literal

from pydantic import Field, model_validator

from distill_dagster.config.divergences import PARAMETERS, unused_at_default
from distill_dagster.config.hidden import HiddenSignalConfig
from distill_dagster.config.models import MEMORY_ONLY, TrainingConfig
from distill_dagster.config.on_policy import OnPolicyConfig
from distill_dagster.config.section import DivergenceName, Section

SignalName = Literal["text", "logits", "hidden", "on_policy"]
OF_DIVERGENCES = {"temperature", "divergence", *PARAMETERS.values()}  # fields of an objective on two distributions
OBJECTIVES = ("signal", "logits", "hidden", "on_policy")  # the fields of a training that say what its loss is
OTHER_SIGNALS = "`signal: text`, or `signal: logits` with `logits.across_tokenizers: alm`"  # for another tokenizer


class LogitsSignalConfig(Section):
    """The objective alpha * CE + (1 - alpha) * T^2 * D(teacher, student) on the stored distributions.

    Across tokenizers it is alpha * CE + (1 - alpha) * tau * ALM, approximate likelihood matching of spans.
    """

    alpha: float = Field(
        default=0.5, ge=0, le=1, description="Weight of the cross-entropy on the teacher's tokens; 0: none of it."
    )
    temperature: Literal[1, 2, 4] = Field(
        default=1,
        description="Softmax temperature T of both sides. Only 1, 2 and 4 are exact, because only for these the sum "
        "over the tokens that are not stored is kept.",
    )
    divergence: DivergenceName = Field(
        default="forward_kl", description="D: forward or reverse KL, skew KL, or the generalised Jensen-Shannon."
    )
    skew: float = Field(default=0.1, gt=0, lt=1, description="The teacher's share of the mixture in `skew_kl`.")
    beta: float = Field(default=0.5, gt=0, lt=1, description="The teacher's share of the mixture in `jsd`.")
    across_tokenizers: Literal["alm"] | None = Field(
        default=None,
        description="For a student with another tokenizer: `alm`, approximate likelihood matching of the spans that "
        "begin and end at the same bytes in both tokenizations. D, T, `skew` and `beta` do not apply.",
    )
    tau: float = Field(
        default=100.0,
        ge=1,
        le=10_000,
        description="What `alm` divides the log-probability of a span by, on both sides.",
    )

    @model_validator(mode="after")
    def _one_objective(self) -> "LogitsSignalConfig":
        changed = {name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default}
        given = sorted(changed & OF_DIVERGENCES)
        if self.across_tokenizers and given:
            raise ValueError(
                f"`{given[0]}` belongs to the divergence of two distributions, which `across_tokenizers: alm` does not "
                "use: remove one of them"
            )
        if not self.across_tokenizers and "tau" in changed:
            raise ValueError(f"`tau: {self.tau:g}` belongs to `across_tokenizers: alm`: add that, or remove `tau`")
        return self

    @property
    def shaping(self) -> dict[str, Any]:
        """What decides the weights; without `across_tokenizers`, the fields that there were before it."""
        apart = {"across_tokenizers", "tau"}
        if self.across_tokenizers:
            return self.model_dump(include={"alpha", *apart})
        return self.model_dump(exclude=apart) | unused_at_default(self, self.divergence)


class StudentTrainingConfig(TrainingConfig):
    """How the student is trained: what it learns from, and as in any training, how."""

    signal: SignalName = Field(
        default="text",
        description="What the student learns from: the `text` of the answers; the teacher's stored distributions as "
        "well (`logits`; needs `teacher.logits`); the hidden states of the teacher, which then runs beside the student "
        "(`hidden`; needs open weights and the same tokenizer); or the teacher's distributions over the student's own "
        "samples (`on_policy`; needs the same).",
    )
    logits: LogitsSignalConfig | None = Field(
        default=None,
        description="The objective of the signal `logits`, and of `on_policy: {start: logits}`. If left out, its "
        "fields' defaults. With `hidden`, it takes the place of the cross-entropy (needs `teacher.logits`).",
    )
    hidden: HiddenSignalConfig | None = Field(
        default=None, description="The objective of the signal `hidden`. If left out, its fields' defaults."
    )
    on_policy: OnPolicyConfig | None = Field(
        default=None, description="The rounds of the signal `on_policy`. If left out, its fields' defaults."
    )

    @model_validator(mode="after")
    def _objective_of_a_signal(self) -> "StudentTrainingConfig":
        if self.signal != "hidden" and self.hidden is not None:
            raise ValueError(
                f"`hidden` is the objective of `signal: hidden`, and the signal is `{self.signal}`: remove it"
            )
        if self.signal in ("hidden", "on_policy") and self.objective.across_tokenizers:
            raise ValueError(
                f"`logits.across_tokenizers: alm` is for a student with another tokenizer, and `signal: {self.signal}` "
                "needs the teacher's: remove it, or use `signal: logits`"
            )
        if self.on_policy is not None and self.signal != "on_policy":
            raise ValueError(f"`on_policy` is for `signal: on_policy`, and the signal is `{self.signal}`: remove it")
        if self.start.signal == "text" and self.logits is not None:
            signal = "text" if self.signal == "text" else "on_policy`, which starts with `text"
            raise ValueError(f"`logits` is the objective of `signal: logits`, and the signal is `{signal}`: remove it")
        if (self.reads_logits or self.signal == "on_policy") and self.label_smoothing:
            raise ValueError(
                f"`label_smoothing: {self.label_smoothing}` would soften the teacher's tokens beside its own "
                "distributions: remove it, or use `signal: text`"
            )
        return self

    @property
    def reads_logits(self) -> bool:
        """Whether the student learns from the distributions over the teacher's own text."""
        return self.start.signal == "logits" or (self.signal == "hidden" and self.logits is not None)

    @property
    def reads_teacher(self) -> bool:
        """Whether the teacher runs beside the student."""
        return self.signal == "hidden"

    @property
    def aligns_tokens(self) -> bool:
        """Whether the tokens of teacher and student are aligned by their bytes, which may be of two tokenizers."""
        return self.reads_logits and self.objective.across_tokenizers is not None

    @property
    def compares_tokens(self) -> bool:
        """Whether the student is compared with the teacher token by token, which needs the same tokens."""
        compares = self.reads_logits or self.reads_teacher or self.signal == "on_policy"
        return compares and not self.aligns_tokens

    @property
    def objective(self) -> LogitsSignalConfig:
        """The objective of the signal `logits`."""
        return self.logits or LogitsSignalConfig()

    @property
    def imitation(self) -> HiddenSignalConfig:
        """The objective of the signal `hidden`."""
        return self.hidden or HiddenSignalConfig()

    @property
    def rounds(self) -> OnPolicyConfig:
        """The rounds of the signal `on_policy`."""
        return self.on_policy or OnPolicyConfig()

    @property
    def start(self) -> "StudentTrainingConfig":
        """The training that a student starts with: of `on_policy` the cold start, of other signals the training."""
        if self.signal != "on_policy":
            return self
        return self.model_copy(update={"signal": self.rounds.start, "on_policy": None})

    @property
    def on_text(self) -> "StudentTrainingConfig":
        """The same settings with `signal: text`, for answers without a teacher behind them."""
        return self.model_copy(update={"signal": "text", "logits": None, "hidden": None, "on_policy": None})

    @property
    def on_rollouts(self) -> "StudentTrainingConfig":
        """The objective on the rollouts: a divergence without cross-entropy."""
        kept = self.rounds.model_dump(include={"divergence", *PARAMETERS.values()})
        return self.model_copy(update={"signal": "logits", "logits": LogitsSignalConfig(alpha=0, **kept)})

    @property
    def loss(self) -> str:
        """The loss of a token, as a formula."""
        if self.signal == "on_policy":
            return self._rounds_loss
        plain = self._logits_loss if self.reads_logits else self._text_loss
        if not self.reads_teacher:
            return plain
        alpha, of = self.imitation.alpha, self.imitation.formula
        return f"{alpha:g} * {plain if plain == 'CE' else f'({plain})'} + {1 - alpha:g} * {of}"

    @property
    def _rounds_loss(self) -> str:
        diverges = _divergence(self.on_rollouts.objective)
        texts = f"; on the teacher's text: {self.start.loss}" if self.rounds.share < 1 else ""
        return f"on rollouts ({self.rounds.share:g} of the rows): {diverges}{texts}"

    @property
    def _text_loss(self) -> str:
        return "CE" if not self.label_smoothing else f"CE, label smoothing {self.label_smoothing:g}"

    @property
    def _logits_loss(self) -> str:
        objective = self.objective
        if objective.across_tokenizers:
            tau = f"{objective.tau:g}"
            return f"{objective.alpha:g} * CE + {1 - objective.alpha:g} * {tau} * ALM at tau = {tau}"
        scale = f"{objective.temperature**2} * " if objective.temperature > 1 else ""
        return f"{objective.alpha:g} * CE + {1 - objective.alpha:g} * {scale}{_divergence(objective)}"

    @property
    def shaping(self) -> dict[str, Any]:
        """What decides the weights; for `text`, the fields that a config had before there were other signals."""
        if self.signal == "on_policy":
            return self.start.shaping | {"signal": "on_policy", "on_policy": self.rounds.learned}
        plain = self.model_dump(exclude={"signal", "logits", "hidden", "on_policy", *MEMORY_ONLY})
        if self.signal == "text":
            return plain
        read = {"logits": self.objective.shaping} if self.reads_logits else {}
        imitated = {"hidden": self.imitation.model_dump()} if self.reads_teacher else {}
        return plain | {"signal": self.signal} | read | imitated


def _divergence(objective: LogitsSignalConfig) -> str:
    """The divergence with its parameter and temperature."""
    name = PARAMETERS.get(objective.divergence)
    parameter = f"({getattr(objective, name):g})" if name else ""
    return f"{objective.divergence}{parameter} at T = {objective.temperature}"
