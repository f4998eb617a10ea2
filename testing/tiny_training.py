"""The training of a tiny student with dropout, so that the random state matters."""

from distill_dagster.config import ModelConfig, StudentTrainingConfig
from testing.models_tiny import write_model

TRAINING = StudentTrainingConfig(
    learning_rate=5e-3, epochs=4, batch_size=8, evaluations=6, max_length=64, early_stopping_patience=None
)


def dropping():
    """A tiny model with dropout."""
    settings = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64, "resid_pdrop": 0.2, "embd_pdrop": 0.2}
    return ModelConfig(architecture="gpt2", settings=settings, vocab_size=400)


def imitating(tmp_path, training=TRAINING, **hidden):
    """This training with the signal `hidden`, and a wider and deeper teacher: {training, teacher} of a spec."""
    settings = {"n_embd": 48, "n_layer": 3, "n_head": 4, "n_positions": 64}
    teacher = write_model(tmp_path / "teacher", ModelConfig(architecture="gpt2", settings=settings, vocab_size=400))
    changed = StudentTrainingConfig(**{**training.model_dump(), "signal": "hidden", "hidden": hidden})
    return {"training": changed, "teacher": teacher}
