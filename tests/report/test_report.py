"""The report: what is counted, how it is said, and that nothing from outside is markup."""

from __future__ import annotations

import html.parser
import json
import math
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import create_trial, TrialState
import pytest

from optuna_llm_sampler import LLMSampler, Price
from optuna_llm_sampler._advice.call import Call
from optuna_llm_sampler._store.prices import cost_of
from optuna_llm_sampler._study.keys import KINDS
from optuna_llm_sampler._study.objectives import best_trials, good_trials, improvements
from optuna_llm_sampler._text import hover, markdown, plain
from optuna_llm_sampler.errors import RateLimitError, UnusableAnswerError
from optuna_llm_sampler.report.claims import wrong_claims
from optuna_llm_sampler.report.explain import explain, fact_lines
from optuna_llm_sampler.report.facts import Facts, facts, ParamFacts
from optuna_llm_sampler.report.html import to_html
from optuna_llm_sampler.report.report import report, TrialLine
from optuna_llm_sampler.report.sources import SOURCES
from optuna_llm_sampler.report.text import comparison, to_markdown, to_text, usd
from optuna_llm_sampler.testing import FakeLLM

from ..support.studies import HOSTILE, hostile, knowing, objective, SPACE, tuned, two


@pytest.fixture(scope="module")
def study() -> Study:
    return tuned(30)


def made(*rows: tuple[str, Any], direction: Any = "minimize") -> Study:
    """A study whose trials have the given sources and values (or states)."""
    study = optuna.create_study(direction=direction)
    for source, value in rows:
        state = value if isinstance(value, TrialState) else TrialState.COMPLETE
        study.add_trial(
            create_trial(
                value=value if state == TrialState.COMPLETE else None,
                state=state,
                params={"x": 0.5},
                distributions={"x": FloatDistribution(0, 1)},
                user_attrs={"llm_source": source} if source else {},
            )
        )
    return study


# --- what is counted ------------------------------------------------------------------------


def test_every_trial_has_one_kind_of_source(study: Study) -> None:
    data = report(study)
    assert tuple(SOURCES) == KINDS
    assert sum(s.trials for s in data.sources) == len(data.trials) == 30
    assert sum(data.states.values()) == 30
    for stats in data.sources:
        assert stats.complete + stats.pruned + stats.failed == stats.trials
    best = data.best[0]
    assert best.values == (study.best_value,)
    assert best.number == study.best_trial.number
    assert sum(s.improved for s in data.sources) == len(
        improvements(study.trials, study.directions)
    )


def test_advice_says_how_much_of_it_was_used(study: Study) -> None:
    data = report(study)
    assert [line.outcome for line in data.advice] == ["ok"] * len(data.advice)
    used = sum(line.used for line in data.advice)
    assert used == sum(t.user_attrs["llm_source"] == "llm" for t in study.trials)
    assert data.belief.startswith("Short texts")
    assert data.total.requests == len(data.advice)


def test_failures_of_the_model_are_counted_by_reason() -> None:
    def broken(request: Any) -> str:
        raise RateLimitError("Too many requests.")

    data = report(tuned(8, of=objective, llm=FakeLLM(broken)))
    assert data.fallbacks["rate_limit"] >= 1
    assert {line.outcome for line in data.advice} == {"rate_limit"}
    assert data.total.input_tokens is None
    text = to_text(data)
    assert f"tokens of {len(data.advice)} calls unknown" in text
    assert f"The base sampler replaced the model in {sum(data.fallbacks.values())} trials" in text


def test_price() -> None:
    price = Price(1, 10, cached=0.1)
    call = Call(input_tokens=1_000_000, output_tokens=100_000, cached_tokens=500_000)
    assert price.of(call) == pytest.approx(0.5 + 0.05 + 1)
    assert price.of(Call(input_tokens=5)) is None
    assert Price(1, 1).of(Call(input_tokens=10, output_tokens=0, cached_tokens=50)) == 1e-5


def test_local_weights_send_no_bill() -> None:
    prices = {"local/m": Price(1, 1), "openai/m": Price(1, 1)}
    assert cost_of(Call(asked="local/m", input_tokens=1, output_tokens=1), prices) == 0
    assert cost_of(Call(asked="openai/m", input_tokens=1, output_tokens=1)) is None
    assert cost_of(Call(asked="openai/m", input_tokens=1, output_tokens=1), prices) == 2e-6
    assert usd(0.0) == "$0"
    assert usd(None) == "–"


def test_cost_is_unknown_without_a_price_and_never_zero(study: Study) -> None:
    assert report(study).total.usd is None
    assert "price unknown" in to_text(report(study))
    data = report(study, price=Price(0.25, 2))
    assert data.total.usd == pytest.approx(sum(line.call.usd or 0 for line in data.advice))
    assert "$0.00" in to_text(data)


def test_json_is_json(study: Study) -> None:
    data = json.loads(json.dumps(report(study).to_json(), allow_nan=False))
    assert data["total"]["requests"] == len(data["calls"]) >= 3
    assert len(data["trials"]) == 30
    infinite = made(("base", math.inf))
    assert report(infinite).to_json()["trials"][0]["values"] == ["inf"]
    json.dumps(report(infinite).to_json(), allow_nan=False)


def test_a_study_that_never_saw_the_sampler() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=3)
    data = report(study)
    assert [s.kind for s in data.sources] == ["other"]
    assert data.advice == ()
    assert comparison(data) == ("The model has not been asked yet.",)
    assert "No calls" in to_text(data)


@pytest.mark.parametrize("write", [to_text, to_markdown, to_html])
def test_an_empty_study_can_be_written(write: Any) -> None:
    assert "0 trials" in write(report(optuna.create_study(study_name="empty")))


def test_advice_of_a_newer_version_is_left_out() -> None:
    study = made(("base", 1.0))
    trial = study.ask()
    study._storage.set_trial_system_attr(trial._trial_id, "llm:post:0", {"v": 99, "trial": 1})
    assert report(study).advice == ()


# --- who did better -------------------------------------------------------------------------


def test_the_report_states_the_rule_by_which_the_model_gets_its_share() -> None:
    sampler = LLMSampler(
        FakeLLM(knowing), search_space=SPACE, base_sampler=RandomSampler(seed=0), seed=0
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=24)
    data = report(study)
    assert data.evidence is not None
    assert data.share == data.evidence.share > 0.5
    assert not data.is_fixed
    said, found = "\n".join(comparison(data)), data.evidence
    assert f"The model's last {found.n_model} trials, compared with the base" in said
    assert f"were better in {found.beaten:.0%} of the comparisons" in said
    assert f"The model gets {data.share:.0%} of the next trials. This share follows" in said
    assert said in to_text(data)
    assert f"{data.share:.0%}" in to_html(data)


def test_a_fixed_share_is_called_fixed(study: Study) -> None:
    data = report(study)
    assert (data.share, data.is_fixed) == (0.5, True)
    assert comparison(data)[-1] == "The model gets 50% of the next trials. This share is fixed."


def test_first_proposals_are_compared_with_nothing() -> None:
    data = report(tuned(2))
    assert comparison(data)[0].startswith("There are no trials of the base sampler")
    assert data.evidence is not None
    assert data.evidence.n_base == 0


def test_maximize_and_constraints() -> None:
    study = made(("llm", 1.0), ("base", 3.0), ("base", 2.0), direction="maximize")
    assert [t.number for t in improvements(study.trials, study.directions)] == [0, 1]
    trial = study.ask()
    trial.set_constraint("c", 1.0)
    study.tell(trial, 99.0)
    assert [t.number for t in best_trials(study.trials, study.directions)] == [1]


def test_several_objectives() -> None:
    study = tuned(16, of=two)
    data = report(study)
    assert {line.number for line in data.best} == {t.number for t in study.best_trials}
    assert all(s.best is None for s in data.sources)
    good = good_trials(study.trials, study.directions)
    assert len(good) == 4
    for write in (to_text, to_markdown, to_html):
        assert write(data)


def test_good_trials_are_the_better_quarter() -> None:
    study = made(*(("base", float(v)) for v in (5, 1, 4, 2, 3)))
    assert [t.values[0] for t in good_trials(study.trials, study.directions)] == [1, 2]
    assert good_trials([], study.directions) == []


# --- how it is said -------------------------------------------------------------------------


def test_text_tells_what_matters(study: Study) -> None:
    text = to_text(report(study))
    assert f"Trial {study.best_trial.number}, " in text
    assert "Language model" in text
    assert "base sampler" in text
    assert "clipped ×" in text
    assert "Short texts with many similar intents" in text
    assert "\x1b" not in text
    assert all(len(line) < 200 for line in text.splitlines())


def test_markdown_has_tables_that_hold(study: Study) -> None:
    lines = to_markdown(report(study)).splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert len(tables) > 6
    assert len({line.count("|") for line in tables}) == 2  # two tables


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<img src=x>", r"\<img src=x\>"),
        ("a | b", r"a \| b"),
        ("[x](y)", r"\[x\](y)"),
        ("**b** `c` ~d~", r"\*\*b\*\* \`c\` \~d\~"),
        ("$x$", r"\$x\$"),
        ("# head", "\u200b# head"),
        ("1. item", "\u200b1. item"),
        ("- item", "\u200b- item"),
        ("-0.5 and 1.5", "-0.5 and 1.5"),
        ("http://evil.example", "http:\u200b//evil.example"),
        ("www.evil.example", "www\u200b.evil.example"),
        ("me@evil.example", "me\u200b@evil.example"),
        ("a\nb\x1b[31m\u202ec", r"a b \[31m c"),
    ],
)
def test_markdown_escapes(text: str, said: str) -> None:
    assert markdown(text) == said


def test_plain_is_one_bounded_printable_line() -> None:
    assert plain("a\x00b\nc\ud800d", 20) == "a b c?d"
    assert len(plain("x" * 10**6, 50)) == 50
    assert plain(3.5) == "3.5"
    assert hover("<b>a & b</b>") == "&lt;b&gt;a &amp; b&lt;/b&gt;"
    assert hover("word " * 30, width=20).count("<br>") > 3


class _Page(html.parser.HTMLParser):
    """Collects tags and attributes that could do something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attrs: set[str] = set()
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attrs |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.words += data


def test_html_page_holds_no_markup_from_outside() -> None:
    study = tuned(4, of=objective, llm=FakeLLM(hostile), study_name=HOSTILE)
    page = _Page(to_html(report(study)))
    assert not page.tags & {"img", "a", "script", "link", "iframe"}
    assert not {name for name in page.attrs if name.startswith("on")} | page.attrs & {
        "src",
        "href",
    }
    assert "<img src=x onerror=alert(1)>" in page.words
    assert "[click](http://evil.example/x)" in page.words


def test_html_page_needs_nothing_from_elsewhere(study: Study) -> None:
    page = to_html(report(study, price=Price(1, 1)))
    assert "http" not in page.replace("http-equiv", "")
    assert "default-src 'none'" in page
    assert page.count("<svg") == 1
    assert len(page) < 60_000
    assert page.count("class='llm") >= 8


# --- explain --------------------------------------------------------------------------------


def test_facts_are_optunas_numbers(study: Study) -> None:
    known = facts(study)
    assert known.params[0].param == "learning_rate"
    expected = optuna.importance.get_param_importances(study)
    for param in known.params:
        assert float(param.importance) == pytest.approx(expected[param.param], abs=0.005)
    good = good_trials(study.trials, study.directions)
    rates = [t.params["learning_rate"] for t in good]
    low, high = (float(n) for n in known.params[0].region.split(" to "))
    assert low == pytest.approx(min(rates), rel=0.01)
    assert high == pytest.approx(max(rates), rel=0.01)
    batch = next(p for p in known.params if p.param == "batch_size")
    assert "of 6)" in batch.region


def quoting(request: Any) -> str:
    """A model that repeats the facts it was given."""
    content = request.messages[-1]["content"]
    return str(content.partition("<facts>")[2].partition("</facts>")[0])


def test_a_text_that_quotes_the_numbers_is_kept(study: Study) -> None:
    llm = FakeLLM(quoting)
    found = explain(study, llm, task="A <task>")
    assert "‹task›" in llm.requests[0].messages[-1]["content"]
    assert found.left_out == ()
    lines = fact_lines(facts(study))
    assert found.paragraphs == tuple(lines)
    assert found.text.splitlines()[: len(lines)] == lines


def told() -> Facts:
    """Facts of two parameters that are easy to talk about."""
    units = ParamFacts("hidden_units", "0.62", "16 to 1024, log", "128 to 512")
    rate = ParamFacts("lr_2", "0.21", "1e-05 to 0.1, log", "0.0003 to 0.0021")
    kind = ParamFacts("kind", "", "relu, leaky_relu, 3", "relu (4 of 6), 3 (2 of 6)")
    params = {"number": 17, "state": "complete", "values": (0.89249,), "source": "", "why": ""}
    best = TrialLine(**params, advice="", repaired=0, params={})  # type: ignore[arg-type]
    return Facts(("maximize accuracy",), 40, 6, best, ("0.89249",), (units, rate, kind))


@pytest.mark.parametrize(
    "text",
    [
        "hidden_units matters most: its importance is 0.62. It is best from 128 to 512.",
        "Hidden units have an importance of 62 %, the good range is 128-512.",
        "The importances are 0.62 of hidden_units and 0.21 of lr_2.",
        "hidden_units (importance 0.62) matters more than lr_2 (importance 0.21).",
        "The search of lr_2 went from 0.00001 to 0.1, and good trials have 3e-4 to 2.1e-3.",
        "The best accuracy is 0.89249, in trial 17, and rounded 0.89.",
        "After 40 complete trials, the best 6 trials agree: `leaky_relu` is no good.",
        "kind is relu in 4 of 6.",
        "1. Try fewer layers, a conjecture.",
    ],
)
def test_what_agrees_with_the_facts_is_kept(text: str) -> None:
    assert wrong_claims([text], told()) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        # The score, said of a parameter: by its name, in other words, by a pronoun, by a half.
        ("The best value of hidden_units is 0.89249.", "0.89249 is not a fact about hidden_units"),
        ("The best value of the hidden units parameter is 0.89249.", "about hidden_units"),
        ("hidden_units is best. Its best value is 0.89249.", "0.89249 is not a fact about"),
        ("The best number of units gives a score of 0.89249.", "0.89249 is not a fact"),
        ("One parameter has a score of 0.89249.", "0.89249 is not a fact"),
        ("The best width is 0.89249.", "0.89249 is not a fact"),
        # Numbers of another parameter, of another kind, of nothing.
        ("hidden_units: 0.0003 to 0.0021.", "0.0003 is not a fact about hidden_units"),
        ("lr_2 has 0.62 and hidden_units 0.21 of all importance.", "0.21 is not a fact about"),
        ("The importance of hidden_units is 128.", "128 is not a fact about hidden_units"),
        ("The best of hidden_units is 0.62.", "0.62 is not a fact about hidden_units"),
        ("hidden_units is best between 16 and 1024.", "16 is not a fact about hidden_units"),
        ("lr_2 is best at 40.", "40 is not a fact about lr_2"),
        ("lr_2 and hidden_units matter. It should be 128.", "128 is not a fact"),
        ("lr_2 matters by 42 %.", "42 % is not a fact about lr_2"),
        ("Good trials have 128 to 512.", "128 is not a fact"),
        ("The best accuracy is 0.9, in trial 18.", "18 is not a fact"),
        ("After 41 trials.", "41 is not a fact"),
        # Names.
        ("weight_decay should fall.", "'weight_decay' is not a parameter"),
        ("`momentum` should fall.", "'momentum' is not a parameter"),
        ("The most important parameter is lr_2.", "the most important parameter is hidden_units"),
    ],
)
def test_what_does_not_agree_with_the_facts_is_found(text: str, reason: str) -> None:
    assert reason in " ".join(wrong_claims([text], told()))


def test_a_text_that_is_wrong_is_left_out_and_the_reason_said(study: Study) -> None:
    best = f"{study.best_value:.5g}"
    words = f"What matters:\n\nThe best value of the learning rate parameter is {best}."
    found = explain(study, FakeLLM(lambda r: words))
    assert found.paragraphs == ()
    line = (
        "The text of fake is left out. It does not agree with the facts: "
        f"{best} is not a fact about learning_rate."
    )
    assert found.text.splitlines() == [*fact_lines(facts(study)), "", line]
    assert "best value of the learning rate" not in found.to_markdown()
    assert "is left out" in found.to_markdown()


def test_digits_of_facts_follow_the_range() -> None:
    space = {"gamma": FloatDistribution(0.9, 0.9999), "width": IntDistribution(1, 123456)}
    study = optuna.create_study()
    for i in range(8):  # of which the first two are the better quarter
        params = {"gamma": 0.9994 + 0.0002 * (i % 2), "width": 123451 + 5 * (i % 2)}
        study.add_trial(create_trial(params=params, distributions={**space}, value=i))
    known = {param.param: (param.searched, param.region) for param in facts(study).params}
    assert known["gamma"] == ("0.9 to 0.9999", "0.9994 to 0.9996")
    assert known["width"] == ("1 to 123456", "123451 to 123456")


def test_explanations_are_escaped_and_need_something_to_explain(study: Study) -> None:
    words = "<img src=x> **bold** [click](http://evil.example/x)"
    found = explain(study, FakeLLM(lambda r: f"# {words}\n- x"))
    assert r"\<img src=x\> bold \[click\]" in found.to_markdown()
    found = explain(study, FakeLLM(lambda r: f"`{HOSTILE[:40]}` is a parameter"))
    assert r"\<img src=x" in found.to_markdown()
    with pytest.raises(UnusableAnswerError):
        explain(study, FakeLLM(lambda r: " \n#\n"))
    with pytest.raises(ValueError, match="no trial is complete"):
        explain(optuna.create_study(), FakeLLM(quoting))


def test_explain_without_importances() -> None:
    study = made(("base", 1.0))
    known = facts(study)
    assert known.n_complete == 1
    assert known.params[0].region == "0.5 to 0.5"
    assert explain(study, FakeLLM(quoting)).left_out == ()


def test_odd_choices_do_not_break_the_report() -> None:
    space = {"c": CategoricalDistribution([None, True, 1, "a|b", "$x$", 2.5])}
    sampler = LLMSampler(FakeLLM(hostile), search_space={**space}, base_sampler=RandomSampler())
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda t: float(t.suggest_categorical("c", space["c"].choices) is None), 6)
    data = report(study)
    for write in (to_text, to_markdown, to_html):
        assert write(data)
    json.dumps(data.to_json(), allow_nan=False)
    assert facts(study).params


def test_defaults_and_enqueued_trials_have_their_own_row() -> None:
    defaults = {"learning_rate": 1e-3, "batch_size": 64, "n_layers": 6, "dropout": 0.1}
    sampler = LLMSampler(
        FakeLLM(knowing), search_space=SPACE, defaults=defaults, base_sampler=RandomSampler()
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=2)
    study.enqueue_trial({**defaults, "batch_size": 32})
    study.optimize(objective, n_trials=1)
    kinds = [stats.kind for stats in report(study).sources]
    assert kinds == ["defaults", "llm", "enqueued"]
