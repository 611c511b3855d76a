"""Every attribute that this package writes.

User attributes are for people; optuna-dashboard shows and sorts them. They are short strings and
numbers on their own trial, written once by the process that runs it. Their names have no colon:
Optuna's MLflowCallback turns them into tags, and MLflow refuses colons on Windows, and everywhere
before 2.16. Older studies have one ("llm:source"), so :func:`read` reads both.

System attributes are for workers. Each is written in one call, since chunks race (Optuna issue
#6626), has a version and at most 60,000 bytes (MySQL's TEXT holds 65,535). Readers ignore unknown
fields. ``RetryHeartbeatStaleTrialCallback`` copies attributes to a trial's successor, so each
value names its trial, and readers skip copies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


# One of KINDS but "other"; "fallback" is followed by ":" and the reason.
SOURCE = "llm_source"
KINDS = ("defaults", "history", "llm", "base", "fallback", "enqueued", "other")
# The model's reason for this configuration, one line.
WHY = "llm_why"
# "trial 3, block 0, config 2": the trial that holds the advice, and which configuration it is.
ADVICE = "llm_advice"
# What that says of a trial of documented defaults, whose source is "defaults" as well.
DOCUMENTED = "documented defaults"
# Number of repaired values of this configuration.
REPAIRED = "llm_repaired"
# "gamma, coef0": parameters of a model's trial that the base sampler had to choose.
FROM_BASE = "llm_from_base"

# "MemoryError: CUDA out of memory": why a trial failed, written by record_failures().
ERROR = "llm_error"

# Result of one call to the model, on a trial of the process that asked; 1-10 kB, written once.
# + asked_on + ":" + block: {"v", "trial", "asked_on", "block", "start", "share", "phase",
# "fixed_share", "n_known", "outcome", "retryable", "retry_after", "call", "advice", "budget"}.
# asked_on, "ticket" in older studies, is the number of the trial on which the call began.
RECORD = "llm:post:"
# A call that is under way; 120 bytes, renewed every few seconds.
# {"v", "trial", "asked_on", "block", "asking", "at", "lease"}
CLAIM = "llm:claim"

# A call of `optuna-llm suggest` or `explain`, on the study; 300 bytes, written once.
# + random name: {"v", "outcome", "call"}
CALL = "llm:call:"

# Parameters that the default base sampler has chosen for a running trial, as JSON, written once.
# Optuna's samplers write the same in pieces under their own keys.
PARAMS = "llm:relative_params:"

VERSION = 1
MAX_BYTES = 60_000


def source_kind(user_attrs: Mapping[str, Any]) -> str:
    """Return the source of a trial's parameters, without the reason of a fallback."""
    return str(read(user_attrs, SOURCE, "")).partition(":")[0]


def read(user_attrs: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """Read a user attribute under its name or its name in older studies."""
    if key in user_attrs:
        return user_attrs[key]
    return user_attrs.get(key.replace("_", ":", 1), default)
