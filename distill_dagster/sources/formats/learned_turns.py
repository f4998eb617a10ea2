"""Which assistant turns are not to be learned, by the keys that trainers write beside role and content.

{"role": "assistant", "content": "12", "weight": 0}         no gold answer; so is "train_on_turn": "false"
{"role": "assistant", "content": "12", "masked": true}      no gold answer
{"role": "assistant", "content": "12", "mask": 1}           E018: some trainers hide such a turn, others learn it
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

ZERO = re.compile(r"[-+]?0+(?:\.0*)?|[-+]?\.0+")
WEIGHTS = (  # plain keys: 0 or false on a turn that is not to be learned
    *("weight", "loss", "train", "training", "trainable", "lossweight", "losscoefficient", "trainingweight", "isgold"),
    *("trainweight", "trainonturn", "trainonthis", "lossmask", "trainmask", "istrainable", "computeloss", "learn"),
    *("calculateloss", "hasloss", "useforloss", "usefortraining"),
)
HIDDEN = (  # plain keys: 1 or true on a turn that is not to be learned
    *("masked", "ismasked", "maskloss", "maskedloss", "maskedout", "ignore", "ignored", "ignoreloss", "noloss"),
    *("skiploss", "excludefromloss", "notrain", "donottrain", "skiptraining"),
)
UNCLEAR = "mask"


def is_hidden(plain: str, value: Any) -> bool:
    """Whether a key of a turn, without its case and separators, says that the turn is not to be learned."""
    if plain in WEIGHTS:
        return _is_zero(value)
    return plain in HIDDEN and value not in (None, "") and not _is_zero(value)


def unclear(number: int, message: Mapping[str, Any], keys: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """E018 for a key that means opposite things to different trainers; `keys` maps the keys to their plain forms."""
    for key, plain in keys.items():
        if plain == UNCLEAR and message[key] is not None:
            yield (
                "E018",
                f"message {number} has `{key}`, by which some trainers hide a turn and others learn it: write `weight` "
                "0 for a turn that is no gold answer, else 1, or name the key in data.meta_keys if it changes nothing",
            )


def _is_zero(weight: Any) -> bool:
    """Whether a weight is 0 or false, also as text."""
    if isinstance(weight, str):
        return weight.strip().casefold() in ("false", "no", "off") or bool(ZERO.fullmatch(weight.strip()))
    return weight is not None and weight == 0
