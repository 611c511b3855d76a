"""In what form a model is asked, as plain data, and the rule by which a form is chosen.

Every style leads to the same advice. To ask in another way, hand a style to the back end:
``LocalLLM(style="script")``, ``OpenAI(model="…", style=replace(CODE, bounds=True))``.
"""

from __future__ import annotations

from dataclasses import dataclass
import re
from typing import Any, get_args, Literal


Form = Literal["json", "code", "script"]

# Parameters of a model, in billions. Smaller ones copy the bounds they are told (README).
_SMALL = 4.0
_SIZE = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)(b|m)(?![a-z0-9])")


@dataclass(frozen=True)
class Style:
    """How the space, the history and the question are worded, and how the answer is decoded.

    Attributes:
        form:
            ``"json"``: one object with configurations, reasons and a note. ``"code"``:
            a chat message that asks for ``params = dict(…)``, answered several times over.
            ``"script"``: the same as comments of a script that the model goes on with, without
            the marks of a chat where the back end can do that.
        bounds:
            Whether the model is told the bounds of numbers. Small models copy them.
        exponents:
            Whether the grammar lets numbers be written as ``3e-5`` (code and script).
        prefill:
            Whether the answer's first words are given (code and script).
        temperature:
            Sampling temperature, :obj:`None` for the endpoint's default.
    """

    form: Form
    bounds: bool = False
    exponents: bool = True
    prefill: bool = True
    temperature: float | None = 0.8

    def __post_init__(self) -> None:
        if self.form not in get_args(Form):
            raise ValueError(f"form must be one of {get_args(Form)}, but got {self.form!r}.")

    @property
    def samples(self) -> bool:
        """Whether one request has several short answers, in no order and without reasons."""
        return self.form != "json"

    def __str__(self) -> str:
        return self.form


JSON = Style("json", bounds=True, prefill=False, temperature=None)
CODE = Style("code")
SCRIPT = Style("script")
STYLES = {str(style): style for style in (JSON, CODE, SCRIPT)}


def as_style(style: Any) -> Style:
    """Return a style by its name or itself.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(style, Style):
        return style
    if not isinstance(style, str) or style not in STYLES:
        raise ValueError(f"style must be one of {sorted(STYLES)} or a Style, but got {style!r}.")
    return STYLES[style]


def style_of(llm: Any) -> Style:
    """Return the style in which a back end wants to be asked; JSON where it does not say."""
    return as_style(getattr(llm, "style", JSON))


def style_for(model: str) -> Style | None:
    """Choose by a model's name, if it says how large the model is.

    Models of less than four billion parameters are asked as code, without bounds, for several
    short answers; larger ones for JSON with bounds and reasons. :obj:`None` where the name
    has no size: then the back end decides (local weights: code; an endpoint: JSON).
    """
    sizes = [
        float(number) / (1000 if unit == "m" else 1)
        for number, unit in _SIZE.findall(model.lower())
    ]
    if not sizes:
        return None
    return JSON if max(sizes) >= _SMALL else CODE
