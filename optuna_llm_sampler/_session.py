"""One study as one process sees it: whose is this trial, and who asks the model.

Knows trial numbers and the board, not Optuna's study or trial.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
import random
import threading
import time

from optuna.distributions import BaseDistribution
from optuna.logging import get_logger

from ._advice import Config
from ._advice import is_known
from ._advice import values
from ._ask import Answer
from ._ask import ask
from ._board import Board
from ._board import Call
from ._board import Claim
from ._board import Post
from ._board import View
from ._history import digest
from ._history import known_params
from ._history import seen_space
from ._policy import Schedule
from ._prompt import Question
from .errors import OptunaLLMError
from .llms._types import LLM


_logger = get_logger(f"optuna.{__name__}")

# Two workers that claim a block within this many seconds see each other's claim.
_CLAIM_SETTLES = 0.3
# A call may go on for this long after nobody waits for it: its answer serves later trials.
_MIN_CALL_SECONDS = 120.0
# A block's advice is asked for at most this often when the errors are of the passing kind.
_MAX_CALLS_PER_BLOCK = 2


@dataclass(frozen=True)
class Decision:
    """Where a trial's parameters come from.

    Attributes:
        source:
            ``"defaults"``, ``"llm"``, ``"base"`` or ``"fallback:<reason>"``.
        config:
            The configuration, when it is not the base sampler's.
        advice:
            Where the configuration lies, in words.
    """

    source: str
    config: Config | None = None
    advice: str = ""


@dataclass(frozen=True)
class Settings:
    """What a session needs to know of the sampler's arguments."""

    llm: Callable[[], LLM]
    schedule: Schedule
    task: str
    param_notes: Mapping[str, str]
    search_space: Mapping[str, BaseDistribution] | None
    n_configs: int
    timeout: float
    prefetch: bool
    seed: int | None


@dataclass
class _Flight:
    """A call that this process has under way."""

    block: int
    done: threading.Event
    post: Post | None = None
    posted: bool = False
    interrupt: BaseException | None = None


class Session:
    """Decides for the trials of one study that run in this process. Thread-safe."""

    def __init__(self, board: Board, settings: Settings) -> None:
        self._board = board
        self._settings = settings
        self._lock = threading.Lock()
        self._anchor: int | None = None
        self._flight: _Flight | None = None
        self._unposted: list[Post] = []
        self._waited_in_vain: set[int] = set()
        self._broken: str = ""
        self._warned: set[str] = set()

    def decide(self, trial_id: int, number: int) -> Decision:
        """Say whose a trial is; waits for the model no longer than the timeout."""
        self._flush(trial_id, number)
        anchor, view = self._find_anchor(number)
        if anchor is None or number < anchor:
            return Decision("base")
        place = self._settings.schedule.place(number - anchor)
        if place.slot is not None:
            return self._take(trial_id, number, anchor, place.block, view)
        if place.renewal:
            self._prefetch(trial_id, number, anchor, place.block + 1)
        return Decision("base")

    def open(self, trial_id: int, number: int) -> None:
        """Ask for the first advice while a trial runs that does not need it."""
        if self._settings.search_space:
            self._prefetch(trial_id, number, number + 1, 0)

    def _find_anchor(self, number: int) -> tuple[int | None, View | None]:
        """Return where the schedule starts, and the board if it had to be read for that."""
        if self._anchor is not None:
            return self._anchor, None
        view = self._board.read()
        if view.posts:
            self._anchor = view.anchor
        if view.anchor is not None:
            return view.anchor, view
        return (number if self._space(view) else None), view

    # --- taking a configuration -------------------------------------------------------------

    def _take(
        self, trial_id: int, number: int, anchor: int, block: int, view: View | None
    ) -> Decision:
        deadline = time.monotonic() + self._patience(block)
        pause = 0.1
        while True:
            view = view or self._board.read()
            decision = self._from_posts(view, number) or self._refusal(view, block)
            if decision is not None:
                return decision
            flight = self._in_flight(block)
            if flight is None and not self._waits_for_other(view, number, block):
                flight = self._lead(trial_id, number, anchor, block, view)
            left = deadline - time.monotonic()
            if left <= 0:
                return self._give_up(block)
            if flight is None:
                time.sleep(min(left, pause * random.uniform(0.7, 1.3)))
                pause = min(2 * pause, 1.0)
            elif flight.done.wait(left):
                if flight.interrupt is not None:
                    raise flight.interrupt
                if not flight.posted:
                    return Decision("fallback:not_stored")
                if flight.post is not None and flight.post.outcome != "ok":
                    # The same trial does not ask again: a passing error needs time to pass.
                    return Decision(f"fallback:{flight.post.outcome}")
            view = None

    def _patience(self, block: int) -> float:
        """How long a trial may wait: only for the first block if later ones are prefetched, and
        not again for a block that this process has waited for in vain (its asker may be dead)."""
        if block in self._waited_in_vain or (block and self._settings.prefetch):
            return 0.0
        return self._settings.timeout

    def _refusal(self, view: View, block: int) -> Decision | None:
        """Return the base sampler's turn with its reason, if no advice is to be expected."""
        failures = [p for p in view.posts if p.block == block and p.outcome != "ok"]
        final = [p for p in failures if not p.retryable]
        if self._broken:
            return Decision(f"fallback:{self._broken}")
        if final or len(failures) >= _MAX_CALLS_PER_BLOCK:
            return Decision(f"fallback:{(final or failures)[-1].outcome}")
        return None

    def _from_posts(self, view: View, number: int) -> Decision | None:
        """Return this trial's own configuration, if an advice for its block is on the board."""
        for post in view.posts:
            if post.outcome != "ok" or number < post.anchor:
                continue
            place = self._settings.schedule.place(number - post.anchor)
            if place.block != post.block or place.slot is None:
                continue
            if place.slot >= len(post.advice.configs):
                return Decision("fallback:few_ideas")
            config = post.advice.configs[place.slot]
            if self._is_repetition(config, view, number):
                return Decision("fallback:known_already")
            where = f"trial {post.trial}, block {post.block}, config {place.slot}"
            return Decision("llm", config, where)
        return None

    def _is_repetition(self, config: Config, view: View, number: int) -> bool:
        space = self._space(view)
        others = [t for t in view.trials if t.number != number]
        return is_known(values(config, space), known_params(others), space)

    def _give_up(self, block: int) -> Decision:
        if self._patience(block) <= 0:
            return Decision("fallback:not_ready")
        self._waited_in_vain.add(block)
        self._warn(
            "timeout",
            f"no advice within {self._settings.timeout:g} s.",
            "The base sampler goes on, and the advice is used as soon as it is there. "
            "Raise timeout= to wait for it.",
        )
        return Decision("fallback:timeout")

    # --- who asks ---------------------------------------------------------------------------

    def _waits_for_other(self, view: View, number: int, block: int) -> bool:
        return any(
            c.block == block and c.trial != number and self._is_fresh(c) for c in view.claims
        )

    def _is_fresh(self, claim: Claim) -> bool:
        # The clocks of two machines may differ by a few seconds.
        return time.time() < claim.at + self._call_seconds() + 5

    def _call_seconds(self) -> float:
        return max(2 * self._settings.timeout, _MIN_CALL_SECONDS)

    def _in_flight(self, block: int) -> _Flight | None:
        flight = self._flight
        return flight if flight is not None and flight.block == block else None

    def _lead(
        self, trial_id: int, number: int, anchor: int, block: int, view: View
    ) -> _Flight | None:
        """Claim the block and start the call, unless another worker is seen to do so."""
        with self._lock:
            if self._flight is not None and not self._flight.done.is_set():
                return self._in_flight(block)
            flight = self._flight = _Flight(block, threading.Event())
        try:
            self._board.claim(trial_id, Claim(number, anchor, block, time.time()))
            if view.undecided(number):
                time.sleep(_CLAIM_SETTLES)
                view = self._board.read()
                if self._yields(view, number, block):
                    self._flight = None
                    return None
            question = self._question(view, block)
        except BaseException:
            self._flight = None
            raise
        args = (flight, trial_id, Post(number, anchor, block), question, view)
        name = f"optuna-llm-sampler-{block}"
        threading.Thread(target=self._call, args=args, name=name, daemon=True).start()
        return flight

    def _yields(self, view: View, number: int, block: int) -> bool:
        posted = any(p.block == block and p.outcome == "ok" for p in view.posts)
        return posted or any(
            c.block == block and c.trial < number and self._is_fresh(c) for c in view.claims
        )

    def _prefetch(self, trial_id: int, number: int, anchor: int, block: int) -> None:
        """Start the call for a coming block, without waiting for it."""
        if not self._settings.prefetch or self._broken:
            return
        view = self._board.read()
        asked = any(post.block == block for post in view.posts)
        if not asked and not self._waits_for_other(view, number, block):
            self._lead(trial_id, number, anchor, block, view)

    # --- the call ---------------------------------------------------------------------------

    def _call(
        self, flight: _Flight, trial_id: int, blank: Post, question: Question, view: View
    ) -> None:
        """Ask and post. Runs in a daemon thread, so that a process never waits for it to end."""
        try:
            flight.post = self._result(blank, question, view)
            flight.posted = self._publish(flight.post, trial_id)
            if not flight.posted:
                self._unposted.append(flight.post)
        except ReferenceError:
            pass  # the study was thrown away while its call was under way
        except BaseException as error:
            flight.interrupt = error  # KeyboardInterrupt and the like belong to whoever waits
        finally:
            if self._flight is flight:
                self._flight = None
            flight.done.set()
            self._board.release()

    def _result(self, blank: Post, question: Question, view: View) -> Post:
        known = known_params(view.trials)
        try:
            llm = self._settings.llm()
            answer = ask(llm, question, known, timeout=self._call_seconds())
        except OptunaLLMError as error:  # the back end could not be built
            answer = Answer(Call(), error=error)
        except Exception as error:
            self._broken = "internal"
            self._warn("internal", repr(error), "The base sampler goes on; please report this.")
            return replace(blank, outcome="internal", retryable=False)
        self._note(answer)
        return replace(
            blank,
            outcome=answer.outcome,
            retryable=answer.error is None or answer.error.retryable,
            call=answer.call,
            advice=answer.advice,
        )

    def _question(self, view: View, block: int) -> Question:
        settings = self._settings
        space = self._space(view)
        finished = [t for t in view.trials if t.state.is_finished() and t.distributions]
        seed = None if settings.seed is None else (settings.seed * 1_000 + block) % 2**31
        return Question(
            space=space,
            digest=digest(view.trials, self._board.directions(), self._board.metric_names()),
            task=settings.task,
            param_notes=settings.param_notes,
            n_configs=settings.n_configs,
            optional=frozenset(n for n in space if any(n not in t.params for t in finished)),
            seed=seed,
        )

    def _space(self, view: View) -> dict[str, BaseDistribution]:
        seen = seen_space(view.trials)
        given = self._settings.search_space or {}
        # What trials have shown is newer than what the user said at construction.
        return {n: d for n, d in {**given, **seen}.items() if not d.single()}

    def _note(self, answer: Answer) -> None:
        error = answer.error
        if error is None:
            call = answer.call
            _logger.info(
                f"{call.model}: {len(answer.advice.configs)} configurations in "
                f"{call.seconds:.1f} s."
            )
            return
        if not error.retryable:
            self._broken = error.reason
        self._warn(error.reason, str(error), error.hint)

    def _warn(self, reason: str, message: str, hint: str) -> None:
        """Warn once per reason; a thousand trials need not say the same."""
        if reason not in self._warned:
            self._warned.add(reason)
            _logger.warning(f"The language model was not used ({reason}): {message} {hint}")

    # --- posting ----------------------------------------------------------------------------

    def _publish(self, post: Post, trial_id: int) -> bool:
        """Post on the asker's trial if it still runs; else it is done on the process's next."""
        try:
            if not self._board.is_running(trial_id):
                return False
            self._board.post(trial_id, post)
            return True
        except ReferenceError:
            raise
        except Exception as error:  # a storage may fail in its own ways
            _logger.debug(f"The advice could not be stored yet: {error!r}")
            return False

    def _flush(self, trial_id: int, number: int) -> None:
        """Post what came when the asker's trial was over already."""
        try:
            for post in list(self._unposted):
                self._board.post(trial_id, replace(post, trial=number))
                self._unposted.remove(post)
        except Exception as error:
            _logger.debug(f"The advice could not be stored yet: {error!r}")
