"""Patterns for ranges, choices and names of parameters, in several languages."""

from __future__ import annotations

import re


def _any(*parts: str) -> str:
    return "|".join(parts)


# Runs of digits have a limit, so that no text takes quadratic time.
_PLAIN = (
    r"(?:\d{1,3}(?:,\d{3}){1,6}(?:\.\d{1,20})?|0,\d{1,20}|\d{1,20},\d{1,2}(?![\d,])"
    r"|\d{0,20}\.?\d{1,20})"
)
_POWER = r"\s?(?:\^|\*\*)\s?\(?[-−+]?\d{1,3}\)?"
_UNIT = r"(?:\s?(?:[KMGT]i?B|B|[mµn]?s|sec|min|h|Hz|px)\b)?"
NUMBER = (
    r"(?<![A-Za-z0-9_])(?<!\d[.,])(?<![A-Za-z_][.-])[-+−]?"
    rf"(?:10{_POWER}|{_PLAIN}(?:[eE][-+−]?\d{{1,3}}|\s?[x×*·]\s?10{_POWER})?)"
    r"(?![eE][-+]?\d)(?!\d)(?![.,]\d)\s?(?:%|(?-i:[kKM])(?![A-Za-z]))?"
)
_BETWEEN = (
    r"\b(?:between|ranging from|from|zwischen|von|entre|de|tra|fra|da|от|между|с|in)\b|从|在|介于"
)
_AND = r"\band\b|\bund\b|\bet\b|\by\b|\ba\b|\be\b|\bи\b|和|と"
_TO = r"\bto\b|\bbis\b|\bà\b|\bдо\b|[-–—~〜～]|到|至|から|\.{2,3}"
_NOT = r"\b(?:not?|never|cannot|(?:should|must|do|does|ca|wo)n['’]?t) (?:be |go |get |fall )?"
_AT_LEAST = _any(
    r"\bat least|\bat minimum",
    rf"{_NOT}(?:(?:less|fewer|smaller|lower|shorter|shallower) than|below|under)",
    r"\bminimum(?: of)?|\bmin\.?|>=|≥",
    r"\bmindestens|\bminimal|\bau moins|\bau minimum|\bal menos|\bcomo mínimo|\bpor lo menos",
    r"\balmeno|\bpelo menos|\bao menos|\bno mínimo|\bне (?:менее|меньше|ниже)(?: чем)?",
    r"\bминимум|至少|最少|最小|不少于|不低于|不小于|少なくとも",
)
_AT_MOST = _any(
    rf"\bat most|{_NOT}(?:more|larger|greater|higher|bigger|deeper|longer|wider) than",
    rf"\bup to|\bcapped at|{_NOT}(?:above|over|beyond|exceed(?:ing)?)",
    r"\bmaximum(?: of)?|\bmax\.?|<=|≤",
    r"\bhöchstens|\bmaximal|\bbis zu|\bau plus|\bau maximum|\bjusqu.à|\bcomo máximo",
    r"\ba lo sumo|\bhasta|\bal massimo|\bfino a|\bno máximo|\baté",
    r"\bне (?:более|больше|выше)(?: чем)?|\bмаксимум|最多|最大|不超过|不大于|至多|多くとも",
)
_ABOVE = _any(
    r"\b(?:more|greater|larger|higher|deeper|longer|wider) than|\babove|(?<![<=])>(?!=)",
    r"\bmehr als|\bplus de|\bmás de|\bбольше|大于|超过|高于",
)
_BELOW = _any(
    r"\b(?:less|fewer|smaller|lower|shorter|shallower) than|\bbelow|\bunder|<(?!=)",
    r"\bweniger als|\bunter",
    r"\bmoins de|\bmenos de|\bmenor que|\bmenos que|\bmeno di|\bменьше|小于|少于|低于",
)
_OR_MORE = (
    r"(?:or|and|und|oder|et|ou|y|o)\s+(?:more|above|greater|larger|higher|up|mehr|plus|más|mais)\b"
    r"|以上"
)
_OR_LESS = (
    r"(?:or|and|oder|ou|o)\s+(?:less|fewer|below|lower|smaller|weniger|moins|menos)\b|以下|以内"
)
_ONE_OF = _any(
    r"\bone of(?: the following)?|\bany of|\beither|\bcho(?:ose|sen) (?:from|among|between)",
    r"\bselected from|\beine[rs]? (?:von|aus)|\bentweder|\bl.une? des?|\bsoit|\bun[oa] de",
    r"\b(?:один|одна|одно) из|以下之一|从",
)
_EXACTLY = _any(
    r"\bexactly|\bfixed (?:at|to)|\bgenau|\bfest auf|\bexactement|\bexactamente|\besattamente",
    r"\bровно|固定为",
)
_ITEM = r"[-+]?\d{0,20}\.?\d{1,20}(?:[eE][-+]?\d{1,3})?(?![A-Za-z0-9_.])"
_OR_ONLY = r"(?:\b(?:or|oder|ou|o|или)\b|或)"
_AT_MOST_AFTER = r"(?:at (?:the )?most|max(?:imum)?)\b(?!\s*\d)"
# The name of each group says what its number is.
FACT = re.compile(
    _any(
        rf"(?P<low_first>{NUMBER})\s*(?P<op1><=?|≤)\s*(?P<name>[A-Za-z_][\w ]{{0,40}}?)\s*"
        rf"(?P<op2><=?|≤)\s*(?P<high_last>{NUMBER})",
        rf"(?:{_BETWEEN})\s*(?P<low>{NUMBER}){_UNIT}\s*(?:{_AND}|{_TO})\s*(?P<high>{NUMBER}){_UNIT}",
        rf"(?<!\w)\[\s*(?P<left>{NUMBER})\s*[,;]\s*(?P<right>{NUMBER})\s*\]",
        rf"(?P<one_of>{_ONE_OF})\s*:?\s*[\[({{]?\s*",
        # "16, 32 or 64"; a comma without a blank may be a decimal one.
        rf"(?P<or_list>(?<![A-Za-z0-9_.,-])(?={_ITEM}(?:,\s+{_ITEM}){{0,20}},?\s*{_OR_ONLY}\s*"
        rf"{_ITEM}))",
        r"(?P<brace>[{\[])\s*(?=[^{}\[\]]{1,1000}[}\]])",
        rf"(?P<bare_low>{NUMBER}){_UNIT}\s*(?:{_TO})\s*(?P<bare_high>{NUMBER}){_UNIT}",
        rf"(?:{_AT_LEAST})\s*(?P<at_least>{NUMBER}){_UNIT}",
        rf"(?:{_AT_MOST})\s*(?P<at_most>{NUMBER}){_UNIT}",
        rf"(?:{_ABOVE})\s*(?P<above>{NUMBER}){_UNIT}",
        rf"(?:{_BELOW})\s*(?P<below>{NUMBER}){_UNIT}",
        rf"(?:{_EXACTLY})\s*(?P<exactly>{NUMBER}){_UNIT}",
        rf"(?P<or_more>{NUMBER}){_UNIT}(?:\s*(?:{_OR_MORE})|\+(?!\d))",
        # "30 epochs at most"
        rf"(?P<at_most_after>{NUMBER})(?=\s+[\w-]+\s+{_AT_MOST_AFTER})",
        rf"(?P<or_less>{NUMBER}){_UNIT}\s*(?:{_OR_LESS})",
    ),
    re.IGNORECASE,
)
UNIT = re.compile(r"(?<=\d)\s?([KMGT]i?B|B|[mµn]?s|sec|min|h|Hz|px)\b")

_COUNT_WORDS = """one two three four five six seven eight nine ten
    ein zwei drei vier fünf sechs sieben acht neun zehn
    un deux trois quatre cinq six sept huit neuf dix
    uno dos tres cuatro cinco seis siete ocho nueve diez"""
COUNTS = {word: i % 10 + 1 for i, word in enumerate(_COUNT_WORDS.split())} | {
    "zero": 0,
    "一": 1,
    "两": 2,
    "二": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "un": 1,
}
_COUNT = "|".join(sorted(COUNTS, key=len, reverse=True))
MAX_PARAMETERS = re.compile(
    rf"(?:{_AT_MOST}|{_EXACTLY}|\bonly|\bjust|\bnur|\bseulement|\bsolo)\s*(?:the\s+)?"
    rf"(?P<count>\d{{1,3}}|{_COUNT})\s*个?\s*(?:[\w-]+\s+){{0,2}}?(?:hyper-?)?\s?"
    r"(?:param[eèéê]t|parám|parâm|parametr|парамет|гиперпарамет|超?参数)\w*",
    re.IGNORECASE,
)

_DIGITS = r"\d[\d.,]*"
# Where a word such as "two" is a bound: after "at least", before or after "to".
COUNT_WORDS = (
    re.compile(
        rf"(?P<head>(?:{_AT_LEAST}|{_AT_MOST}|{_ABOVE}|{_BELOW}|{_EXACTLY}|{_BETWEEN})\s+)"
        rf"(?P<count>{_COUNT})\b(?!\s+of\b)",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?P<head>)\b(?P<count>{_COUNT})(?=\s+(?:to|bis|à)\s+(?:{_COUNT}|{_DIGITS})\b)",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?P<head>\d\s+(?:to|bis|à|and|und|et|y)\s+)(?P<count>{_COUNT})\b(?!\s+of\b)",
        re.IGNORECASE,
    ),
)

# Where a phrase about a parameter ends.
CUT = re.compile(
    r"[,;.!?)，。、；]|\b(?:and|or|but|with|where|while|though|und|oder|aber|mit|et|ou|mais|avec"
    r"|y|pero|con|и|но|с)\b",
    re.IGNORECASE,
)
FOR = re.compile(r"^\s*(?:for|as|of|für|als|pour|para)\b", re.IGNORECASE)
OF = re.compile(r"\b(?:of|per|for|in|on|each|von|pro|de|par|por)\b", re.IGNORECASE)
_OR = r"\b(?:or|and|oder|und|ou|et|o|y|или|и)\b"
SEPARATOR = re.compile(rf"\s*(?:[,/|、，]\s*(?:{_OR})?|{_OR}|或|和)\s*", re.IGNORECASE)
ELEMENT = re.compile(
    r"\"[^\"]{1,60}\"|'[^']{1,60}'|[-+]?\d{0,20}\.?\d{1,20}(?:[eE][-+]?\d{1,3})?(?![A-Za-z0-9_])"
    rf"|[^\W\d_][\w.+-]{{0,59}}(?:[ ][^\W\d][\w+-]{{0,40}}(?=\s*(?:[,/|;.)\]}}]|$|{_OR})))?"
)
# After the first word of a phrase that is no choice: "batch size of …", "x >= 5".
PHRASE = re.compile(rf"\s*[<>=:≤≥]|[ ]+(?!(?:{_OR}|(?:with|mit|for|as)\b))\w+\s+\S", re.IGNORECASE)
CLOSING = re.compile(r"\s*[\])}]")

# --- names of parameters ---------------------------------------------------------------------

# What a phrase means, in English words that names of parameters are made of.
PHRASES = tuple(
    (re.compile(pattern), english)
    for english, pattern in (
        (
            "learning rate",
            r"\blr\b|lernrate|taux d.apprentissage|tasa de aprendizaje|taxa de aprendizado"
            r"|tasso di apprendimento|скорост\w+ обучения|学习率|學習率|学習率",
        ),
        (
            "batch size",
            r"\bbs\b|batch-?gr(?:öße|össe|oesse)|batchsize|taille (?:de|du) (?:lot|batch)s?"
            r"|tamaño (?:de|del) (?:lote|batch)|tamanho (?:do|de) (?:lote|batch)"
            r"|dimensione del batch|размер\w* (?:батча|пакета)|批(?:量|次|处理)?大小"
            r"|バッチサイズ",
        ),
        (
            "epoch",
            r"\bepochen\b|\bépoques?\b|\bépocas?\b|\bepoche\b|эпох\w*|训练轮数|轮数|エポック数?",
        ),
        ("weight decay", r"\bwd\b|weight-decay|权重衰减"),
        (
            "layer",
            r"\bschichten\b|\bcouches\b|\bcapas\b|\bcamadas\b|\bstrati\b|\bсло[йея]\w*"
            r"|层数?|層数?",
        ),
        (
            "estimator",
            r"\bbäumen?\b|\barbres\b|\bárboles\b|\bárvores\b|\balberi\b|деревь\w*|\btrees\b",
        ),
        ("depth", r"\btiefe\b|\bprofondeur\b|\bprofundidade?\b|глубин\w+|深度|深さ"),
        ("warmup", r"\bwarm-up\b"),
        (" ", r"之间|の間|[はがを为是]"),
    )
)
_STOP = """a an the of with and or to in for be is are it its should must between from at use using
    initial start starting value range number num n max min maximum minimum count total my our your
    try tune i we want like please keep set on by than no not but also gb mb kb tb gib mib kib ms
    sec ein eine einer einem einen mit der die das und oder von bis le la les un une de des et ou
    most el los las y con o il di e 个"""
STOP = frozenset(_STOP.split())
