"""Parameters whose names say nothing: a small model is not asked about them.

The edges of a network's cell, ``Op0`` … ``Op5``, all with one list of operations: the 0.5B model
recites the list in the order in which it has read it, the 1.5B model connects everything by
``skip_connect``, in whatever order the list is shown. Both are worse than chance (best of five on
NAS-Bench-201: .71 and .86, uniform draws .51), so these parameters are the base sampler's. A note
on a parameter (``param_notes=``) gives it a meaning, and the model is asked.

Asked for one operation that all edges share, both models go by the place in the list, too: 3x3
convolutions, the right answer, are 2 % and 6 % of 256 samples. The same operation on all edges,
each in turn and without a model, would be better than the base sampler's first five (at trials 5,
10, 20, 50 .416, .237, .180, .055 against .538, .363, .209, .066; 12 pairs of this one benchmark):
a design of its own, which says nothing of a model, and so not done here.
"""

from __future__ import annotations

from optuna.distributions import CategoricalDistribution

from .._study.space import labels
from .question import Question


_MIN_PARAMETERS = 4
_MIN_CHOICES = 4
_MAX_LETTERS = 2


def nameless(question: Question) -> frozenset[str]:
    """Return the parameters that share a list of choices and are told apart by a number only."""
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    structural = {*question.conditions, *(p for c in question.conditions.values() for p in c)}
    for name, distribution in question.space.items():
        if not isinstance(distribution, CategoricalDistribution):
            continue
        stem = "".join(c for c in name if c.isalpha())
        told = name in question.param_notes or name in structural or len(stem) > _MAX_LETTERS
        if not told and len(distribution.choices) >= _MIN_CHOICES:
            groups.setdefault((stem, labels(distribution)), []).append(name)
    return frozenset(
        n for names in groups.values() if len(names) >= _MIN_PARAMETERS for n in names
    )
