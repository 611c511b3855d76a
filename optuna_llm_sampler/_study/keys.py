"""Every attribute this package writes, in one place.

User attributes are what people read (optuna-dashboard shows and sorts them): short plain strings
and plain numbers on the trial they belong to, written once by the process that runs the trial.
Their names have no colon, since Optuna's MLflowCallback makes tags of them, and MLflow refuses a
tag with a colon on Windows, and everywhere before 2.16. They had one once ("llm:source"), so they
are read with :func:`read`.

System attributes are what workers share. Each is one key written in one call (chunks race, Optuna
issue #6626), under 60,000 bytes (MySQL's TEXT holds 65,535), with a version; readers ignore what
they do not know. ``RetryHeartbeatStaleTrialCallback`` copies a trial's attributes to its
successor, so each value names the trial it was written on, and a copy is recognised by the wrong
number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


# One of KINDS but "other"; "fallback" is followed by ":" and the reason.
SOURCE = "llm_source"
KINDS = ("defaults", "history", "llm", "base", "fallback", "enqueued", "other")
# The model's reason for this configuration, one line.
WHY = "llm_why"
# "trial 3, block 0, config 2": where the advice lies and which of its configurations this is.
ADVICE = "llm_advice"
# Number of values of this configuration that had to be changed to be legal.
REPAIRED = "llm_repaired"
# "gamma, coef0": parameters of a model's trial that the base sampler had to choose.
FROM_BASE = "llm_from_base"

# "MemoryError: CUDA out of memory": why a trial failed, for objectives in record_failures().
ERROR = "llm_error"

# + asked_on + ":" + block: {"v", "trial", "asked_on", "block", "start", "share", "phase",
# "fixed_share", "n_known", "outcome", "retryable", "retry_after", "call", "advice", "budget"}. The
# result of one call to the model, on a trial of the process that asked; asked_on is the number
# of the trial on which the call began ("ticket" in older studies). Written once; 1-10 kB.
RECORD = "llm:post:"
# {"v", "trial", "asked_on", "block", "asking", "at", "lease"}. "I am asking": others wait
# or go on. Rewritten every few seconds while the call lasts; 120 bytes.
CLAIM = "llm:claim"

# + random name, on the study: {"v", "outcome", "call"}. A call that `optuna-llm suggest` or
# `explain` made, which belongs to no trial; 300 bytes, written once, read by calls(study).
CALL = "llm:call:"

VERSION = 1
MAX_BYTES = 60_000

# Where Optuna's own samplers publish the configuration of a running trial, as JSON in pieces
# (optuna/samplers/_tpe/sampler.py and _gp/sampler.py, _RELATIVE_PARAMS_KEY).
PUBLISHED_BY_OPTUNA = ("llm:relative_params:", "tpe:relative_params:", "gp:relative_params:")


def source_kind(user_attrs: Mapping[str, Any]) -> str:
    """Return where a trial's parameters came from, without the reason of a fallback."""
    return str(read(user_attrs, SOURCE, "")).partition(":")[0]


def kind_of(trial: FrozenTrial) -> str:
    """Return the kind of a trial's source, ``"other"`` if it is unknown."""
    source = source_kind(trial.user_attrs)
    return source if source in KINDS else "other"


def read(user_attrs: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """Read a user attribute by its name, or by the one that it had in older studies."""
    if key in user_attrs:
        return user_attrs[key]
    return user_attrs.get(key.replace("_", ":", 1), default)
