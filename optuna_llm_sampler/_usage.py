"""What the model cost a study, and whose trials are whose: read from the storage alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import _keys
from ._board import Board


if TYPE_CHECKING:
    from optuna.study import Study


@dataclass(frozen=True)
class Usage:
    """The use that a study made of the model, by all workers together.

    Attributes:
        calls:
            Requests to the model, failed ones included.
        input_tokens, output_tokens:
            As the endpoints report them; :obj:`None` when none of them does.
        seconds:
            Time spent in calls, most of it in the background.
        outcomes:
            How many blocks of trials got which answer (``"ok"`` or the reason of a failure).
        sources:
            How many trials have their parameters from where.
    """

    calls: int
    input_tokens: int | None
    output_tokens: int | None
    seconds: float
    outcomes: Mapping[str, int]
    sources: Mapping[str, int]


def usage(study: Study) -> Usage:
    """Sum up what the model did in a study.

    Args:
        study:
            Any study; one that never saw a :class:`~optuna_llm_sampler.LLMSampler` has no calls.
    """
    view = Board(study._storage, study._study_id).read()
    calls = [post.call for post in view.posts]
    sources = (trial.user_attrs.get(_keys.SOURCE) for trial in view.trials)
    return Usage(
        calls=sum(call.requests for call in calls),
        input_tokens=_total(call.input_tokens for call in calls),
        output_tokens=_total(call.output_tokens for call in calls),
        seconds=round(sum(call.seconds for call in calls), 3),
        outcomes=dict(Counter(post.outcome for post in view.posts)),
        sources=dict(Counter(str(source) for source in sources if source)),
    )


def _total(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
