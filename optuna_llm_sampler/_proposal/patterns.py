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
FACTORS = {
    1e3: ("k", "thousand", "tausend", "mille", "mil", "mila", "тыс", "тысяч", "тысячи", "千"),
    1e4: ("万", "萬", "만"),
    1e6: ("m", "million", "millions", "mio", "millionen", "millones", "milhões", "milioni", "млн"),
    1e9: ("billion", "milliarden", "milliards", "миллиард"),
}
_FACTOR_WORDS = "|".join(
    sorted((w for words in FACTORS.values() for w in words if len(w) > 1), key=len, reverse=True)
)
_FACTOR = rf"(?:(?-i:[kKM])(?![A-Za-z])|(?:{_FACTOR_WORDS})(?![^\W\d_])|[千万萬만])"
FACTOR = re.compile(rf"{_FACTOR}\s*$", re.IGNORECASE)
_UNIT = r"(?:\s?(?:[kKMGT]i?B|B|[mµn]?s|sec|min|h|Hz|px)\b)?"
NUMBER = (
    r"(?<![A-Za-z0-9_^])(?<!\d[.,])(?<![A-Za-z_][.-])[-+−]?"
    rf"(?:\d{{1,3}}{_POWER}|{_PLAIN}(?:[eE][-+−]?\d{{1,3}}|\s?[x×*·]\s?10{_POWER})?)"
    rf"(?![eE][-+]?\d)(?!\d)(?![.,]\d)\s?(?:%|{_FACTOR})?"
)
_BETWEEN = (
    r"\b(?:between|ranging from|from|zwischen|von|entre|de|tra|fra|da|от|между|с|in|tussen|van)\b"
    r"|从|在|介于"
)
_AND = r"\band\b|\bund\b|\bet\b|\by\b|\ba\b|\be\b|\bи\b|\ben\b|和|と"
_UP_TO = r"\bup to|\bbis zu|\bjusqu.[àa]|\bhasta|\bfino a|\baté"
_TO = (
    rf"{_UP_TO}|\bto\b|\bthrough\b|\bbis\b|\bà\b|\bдо\b|\btot\b|[-–—~〜～]|到|至|から"
    r"|\.{2,3}"
)
_NOT = r"\b(?:not?|never|cannot|(?:should|must|do|does|ca|wo)n['’]?t) (?:be |go |get |fall )?"
_LESS = r"(?:less|fewer|smaller|lower|shorter|shallower)"
_MORE = r"(?:more|larger|greater|higher|bigger|deeper|longer|wider)"
_MORE_DE = r"(?:mehr|größer|höher|tiefer|länger|breiter)"
_LESS_DE = r"(?:weniger|kleiner|niedriger|geringer|kürzer)"
_MORE_FR = r"(?:plus(?: (?:grande?|haute?|de))?|supérieure?s?)"
_AT_LEAST = _any(
    r"\bat least|\bat minimum|\bno less than",
    rf"{_NOT}(?:{_LESS} th[ae]n|below|under)",
    rf"\b(?:{_MORE} than|above) or equal to",
    r"\bminimum(?: of)?|\bmin\.?|>=|=>|≥",
    r"\bmindestens|\bminimal|\bwenigstens",
    rf"\bnicht (?:unter|{_LESS_DE} als)|\bkeine? {_LESS_DE} als",
    r"\bau moins|\bau minimum|\bpas moins d[e']|\bpas inférieure?s? à|\bminimum de",
    r"\bsupérieure?s? ou égale?s? à",
    r"\bal menos|\bcomo mínimo|\bpor lo menos|\bno menos de",
    r"\bno (?:sea )?(?:inferior|menor) (?:a|de|que)",
    r"\bmayor o igual (?:a|que)|\bmínimo(?: de)?",
    r"\balmeno|\bnon meno di|\bnon inferiore a|\bminimo(?: di)?",
    r"\bpelo menos|\bao menos|\bno mínimo|\bnão menos (?:de|que|do que)|\bnão inferior a",
    r"\bне (?:менее|меньше|ниже)(?: чем)?|\bминимум|\bхотя бы",
    r"\bminstens|\bten minste|\bminimaal",
    r"至少|最少|最小|不(?:能|得|应|可)?(?:少于|低于|小于)|少なくとも|最低|최소",
)
_AT_MOST = _any(
    rf"\bat (?:the )?most|{_NOT}{_MORE} th[ae]n",
    rf"\bcapped at|\blimited to|{_NOT}(?:above|over|beyond|past|exceed(?:ing)?)",
    rf"\b(?:{_LESS} than|below|under) or equal to",
    rf"{_UP_TO}|\bmaximum(?: of)?|\bmax\.?|<=|=<|≤",
    rf"\bhöchstens|\bmaximal|\bnicht (?:über|{_MORE_DE} als)|\bkeine? {_MORE_DE} als",
    r"\bau plus|\bau maximum|\bpas plus (?:d[e']|que)|\b(?:ne pas|sans) dépasser|\bmaximum de",
    r"\binférieure?s? ou égale?s? à|\bpas (?:dépasser|excéder)|\bpas supérieure?s? à",
    r"\bcomo máximo|\ba lo sumo|\bno más de|\bno (?:sea )?(?:superior|mayor) (?:a|de|que)",
    r"\bno (?:debe )?(?:superar|exceder|pasar de)|\bmenor o igual (?:a|que)|\bmáximo(?: de)?",
    r"\bal massimo|\bnon più di|\bnon (?:deve )?superare|\bnon superiore a|\bmassimo(?: di)?",
    r"\bno máximo|\bnão mais (?:de|que|do que)|\bnão superior a",
    r"\bnão (?:deve )?(?:exceder|ultrapassar)",
    r"\bне (?:более|больше|выше|превыша\w+|должн\w+ превышать)(?: чем)?|\bмаксимум",
    r"\bhoogstens|\bten hoogste|\bmaximaal|\bniet meer dan",
    r"最多|最大|不(?:能|得|应|可|要)?(?:超过|大于|高于|多于)|至多|多くとも|最高|최대",
)
_ABOVE = _any(
    rf"\b{_MORE} than|\babove|\bexceed(?:s|ing)?|(?<![<=-])>(?!=)",
    r"\bdépass(?:e|er|ent)|\bsuper(?:e|en|ar|are)",
    rf"\b{_MORE_DE} als|\bplus de|\bsupérieure?s? à|\bau-dessus de",
    r"\bmás de|\bmayor (?:que|de|a)|\bsuperior a|\bpor encima de|\bpiù di|\bsuperiore a",
    r"\bmais (?:de|que|do que)|\bacima de|\bбольше|\bболее|\bвыше|\bсвыше|大于|超过|高于|多于",
)
_BELOW = _any(
    rf"\b{_LESS} than|\bbelow|\bunder|<(?![=-])",
    rf"\b{_LESS_DE} als|\bunter|\bmoins de|\binférieure?s? à|\bau-dessous de|\ben dessous de",
    r"\bmenos (?:de|que|do que)|\bmenor (?:que|de|a)|\binferior a|\bpor debajo de|\babaixo de",
    r"\bmeno di|\binferiore a|\bменьше|\bменее|\bниже|小于|少于|低于",
)
_OR_MORE_WORD = (
    r"(?:more|above|greater|larger|higher|deeper|longer|wider|bigger|up|upwards|over|mehr|größer"
    r"|höher|tiefer|länger|plus|davantage|más|mayor|superior|mais|maior|più|больше|более|выше)\b"
)
_OR_LESS_WORD = (
    r"(?:less|fewer|below|lower|smaller|shorter|shallower|under|weniger|kleiner|niedriger|kürzer"
    r"|moins|menos|menor|inferior|meno|меньше|менее|ниже)\b"
)
_OR_MORE = rf"(?:or|and|und|oder|et|ou|y|o|или|и)\s+{_OR_MORE_WORD}(?!\s+th[ae]n)|以上|이상"
_OR_LESS = rf"(?:or|and|oder|ou|o|или)\s+{_OR_LESS_WORD}(?!\s+th[ae]n)|以下|以内|이하"
# "12 levels deep or deeper": what is counted stands between.
_WHAT = r"(?:[^\W\d][\w-]*\s+){1,2}?"
_ONLY_OR = r"(?:or|oder|ou|o|или)"
_ONE_OF = _any(
    r"\bone of(?: the following)?|\bany of|\beither|\bcho(?:ose|sen) (?:from|among|between)",
    r"\bonly(?=\s+[\"'])",
    r"\bselected from|\beine[rs]? (?:von|aus)|\bentweder|\bl.une? des?|\bsoit|\bun[oa] de",
    r"\b(?:один|одна|одно) из|以下之一|从",
)
_EXACTLY = _any(
    r"\bexactly|\bfixed (?:at|to)|\bgenau|\bfest auf|\bexactement|\bexactamente|\besattamente",
    r"\bровно|固定为",
)
_ITEM = r"[-+]?\d{0,20}\.?\d{1,20}(?:[eE][-+]?\d{1,3})?(?![A-Za-z0-9_.])"
_OR_ONLY = r"(?:\b(?:or|oder|ou|o|или)\b|或)"
_END = r"(?=\s*(?:[,.;:)!?，。、]|$|\b(?:and|or|but|und|oder|et|ou|y|o|e)\b))"
_MAX_WORD = (
    r"(?:at (?:the )?most|max(?:imum|imal)?|tops|höchstens|au (?:plus|maximum)|como máximo"
    r"|al massimo|no máximo|máximo)"
)
_MIN_WORD = (
    r"(?:at (?:the )?least|min(?:imum|imal)?|mindestens|au (?:moins|minimum)|como mínimo|almeno"
    r"|no mínimo|mínimo)"
)
_MUST_NOT_EXCEED = r"nicht (?:überschreiten|übersteigen)"
_MUST_NOT_UNDERCUT = r"nicht unterschreiten"
# Groups of one number, and which bound it is.
ONE_BOUND = {
    "at_least": "low",
    "or_more": "low",
    "what_or_more": "low",
    "at_least_after": "low",
    "at_most": "high",
    "or_less": "high",
    "what_or_less": "high",
    "at_most_after": "high",
    "above": "above",
    "above_after": "above",
    "below": "below",
    "below_after": "below",
}
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
        rf"(?P<what_or_more>{NUMBER})\s+(?P<what_or_more_what>{_WHAT}){_ONLY_OR}\s+{_OR_MORE_WORD}",
        # "30 epochs at most"
        rf"(?P<at_most_after>{NUMBER})(?=(?:\s+[\w-]+)?\s+{_MAX_WORD}{_END})",
        rf"(?P<at_least_after>{NUMBER})(?=(?:\s+[\w-]+)?\s+{_MIN_WORD}{_END})",
        rf"(?P<or_less>{NUMBER}){_UNIT}\s*(?:{_OR_LESS}|{_MUST_NOT_EXCEED})",
        rf"(?P<what_or_less>{NUMBER})\s+(?P<what_or_less_what>{_WHAT}){_ONLY_OR}\s+{_OR_LESS_WORD}",
        rf"(?P<below_after>{NUMBER}){_UNIT}\s*(?:未満|未满|미만)",
        rf"(?P<above_after>{NUMBER}){_UNIT}\s*(?:を超え|초과)",
    ),
    re.IGNORECASE,
)
UNIT = re.compile(r"(?<=\d)\s?([kKMGT]i?B|B|[mµn]?s|sec|min|h|Hz|px)\b")
SUPERSCRIPT = re.compile(r"(?<=\d)[⁻⁺]?[⁰¹²³⁴-⁹]{1,3}(?![⁰¹²³⁴-⁹])")
PERCENT = re.compile(
    r"(?<=\d)\s?(?:percent|per\s?cent|pct|prozent|pour\s?cent|por\s?ciento|por\s?cento|процент\w*"
    r"|パーセント|퍼센트)(?!\w)",
    re.IGNORECASE,
)

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
_PARAMETERS = (
    r"(?:hyper-?)?\s?(?:param[eèéê]t|parám|parâm|parametr|парамет|гиперпарамет|超?参数)\w*"
)
MAX_PARAMETERS = re.compile(
    rf"(?:{_AT_MOST}|{_EXACTLY}|\bonly|\bjust|\bnur|\bseulement|\bsolo)\s*(?:the\s+)?"
    rf"(?P<count>\d{{1,3}}|{_COUNT})\s*个?\s*(?:[\w-]+\s+){{0,2}}?{_PARAMETERS}"
    rf"|\b(?P<count_first>\d{{1,3}}|{_COUNT})\s+{_PARAMETERS}\s+{_MAX_WORD}{_END}",
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
    # "two, three or four"
    re.compile(
        rf"(?P<head>)\b(?P<count>{_COUNT})(?=(?:,\s+(?:{_COUNT})){{0,9}},?\s+{_ONLY_OR}\s+"
        rf"(?:{_COUNT}|{_DIGITS})\b(?!\s+of\b))",
        re.IGNORECASE,
    ),
    re.compile(rf"(?P<head>\d,?\s+{_ONLY_OR}\s+)(?P<count>{_COUNT})\b(?!\s+of\b)", re.IGNORECASE),
)

# Where a phrase about a parameter ends.
CUT = re.compile(
    r"[,;.!?)，。、；]|\b(?:and|or|but|with|where|while|though|und|oder|aber|mit|et|ou|mais|avec"
    r"|y|pero|con|и|но|с)\b",
    re.IGNORECASE,
)
# Before "more than 8 layers", which makes it a largest number: "I would not want …".
NEGATION = re.compile(
    r"\b(?:not|never|no|cannot|nicht|keine?[nmrs]?|nie|ne|pas|jamais|nunca|não|non|не)\b|n['’]t\b",
    re.IGNORECASE,
)
# "no improvement for more than 5 epochs" is about when to stop, and so is "5 epochs without any".
_NO_PROGRESS = (
    r"(?:\b(?:not?|never|without|stop(?:s|ped)?|ohne|keine|sans|pas|sin)\b|n['’]t\b)"
    r"(?:[\s'’]+\w+){0,2}?[\s'’]+(?:improv|verbesser|amélior|mejor)\w*"
)
_DURING = r"(?:for|in|over|after|during|within|since|für|nach|seit|pendant|durant|durante|en)"
PATIENCE_BEFORE = re.compile(rf"{_NO_PROGRESS}\s+{_DURING}(?:\s+[\w-]+){{0,2}}\s*$", re.IGNORECASE)
PATIENCE_AFTER = re.compile(rf"\s*(?:[\w-]+\s+){{0,3}}?{_NO_PROGRESS}", re.IGNORECASE)
# Where, within a phrase, something else begins.
CLAUSE = re.compile(
    r"\b(?:that|which|such|so that|because|since|until|unless|if|when|weil|damit|porque)\b"
    r"|\bto (?:get|reach|have|keep)\b",
    re.IGNORECASE,
)
# A number that belongs to another word: "3 epochs on", "batch size 32 took", "4500 ratings".
OTHER_NUMBER = re.compile(
    r"(?<![\w.])\d[\w.,%-]*"
    r"(?:\s+\w+\s*$|\s+\w+\s+(?:on|in|per|over|across|at|auf|pro|sur|par|en)\b)?",
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
            r"\bschichten\b|\bcouches\b|\bcapas\b|\bcamadas\b|\bstrati\b|\bсло[йеёя]\w*"
            r"|层数?|層数?",
        ),
        (
            "estimator",
            r"\bbäumen?\b|\barbres\b|\bárboles\b|\bárvores\b|\balberi\b|деревь\w*|\btrees\b",
        ),
        (
            "depth",
            r"\blevels\b|\bdeep\b|\bebenen\b|\bniveaux\b|\bniveles\b|\btiefe\b|\bprofondeur\b|\bprofundidade?\b|глубин\w+|深度|深さ",
        ),
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
