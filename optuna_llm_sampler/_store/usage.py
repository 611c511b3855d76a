"""What the model cost a study, and whose trials are whose: read from the storage alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import TypeVar

from .._study import keys as _keys
from .calls import calls


if TYPE_CHECKING:
    from optuna.study import Study


_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True)
class Usage:
    """The use that a study made of the model, by all workers together.

    Attributes:
        calls:
            Requests to the model, failed ones included.
        input_tokens, output_tokens:
            As far as they are known; :obj:`None` when nothing is.
        estimated:
            Whether some of them are estimates, because an endpoint does not count.
        usd:
            What was paid, as far as prices are known; :obj:`None` when none is.
        unpriced:
            How many calls have no known price, so that ``usd`` lacks them.
        seconds:
            Time spent in calls, most of it in the background.
        outcomes:
            How many calls got which answer (``"ok"`` or the reason of a failure).
        sources:
            How many trials have their parameters from where.
    """

    calls: int
    input_tokens: int | None
    output_tokens: int | None
    seconds: float
    outcomes: Mapping[str, int]
    sources: Mapping[str, int]
    estimated: bool = False
    usd: float | None = None
    unpriced: int = 0


def usage(study: Study) -> Usage:
    """Sum up what the model did in a study.

    Args:
        study:
            Any study; one that never saw a :class:`~optuna_llm_sampler.LLMSampler` has no calls.
    """
    made = calls(study)
    trials = study._storage.get_all_trials(study._study_id, deepcopy=False)
    sources = (_keys.read(trial.user_attrs, _keys.SOURCE) for trial in trials)
    return Usage(
        calls=sum(call.requests for call in made),
        input_tokens=_total(call.input_tokens for call in made),
        output_tokens=_total(call.output_tokens for call in made),
        seconds=round(sum(call.seconds for call in made), 3),
        outcomes=dict(Counter(call.outcome for call in made)),
        sources=dict(Counter(str(source) for source in sources if source)),
        estimated=any(call.estimated for call in made),
        usd=_total(call.usd for call in made),
        unpriced=sum(call.usd is None for call in made),
    )


def _total(counts: Iterable[_Number | None]) -> _Number | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
