"""One call to the model in the background: claim, ask, post. Never blocks a trial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace
import threading
import time

from optuna.exceptions import UpdateFinishedTrialError
from optuna.logging import get_logger

from .store import Board
from .store import Claim
from .store import Post
from .store import View


_logger = get_logger(f"optuna.{__name__}")

# Two workers that claim at the same time see each other's claim after this many seconds.
_CLAIM_SETTLES = 0.3
# Pauses before a post is written again, in seconds: a database server restarts in that time.
_RETRIES = (0.5, 2.0, 5.0)


@dataclass(frozen=True)
class Home:
    """The trial of this process on which a call is noted, because that trial can be written."""

    trial_id: int
    number: int


class Flight:
    """A call under way. Its threads are daemons, so that a process never waits for them to end.

    Args:
        board:
            Where to claim and to post.
        claim:
            What is asked for; renewed four times within its lease.
        home:
            The trial on which it begins.
        alone:
            Whether no other trial runs that could make the same claim.
        ask:
            Calls the model, given the board.
        place:
            Completes a post, given the board, and whether the trial on which it is going to lie
            is one that has only begun.
        may_ask:
            Tells, given the board, whether the model may still be asked once all claims are seen.

    Attributes:
        done:
            Set when there is nothing more to wait for.
        post:
            What was posted, if anything was.
        view:
            The board just before.
        interrupt:
            A :exc:`KeyboardInterrupt` or the like, which belongs to whoever waits.
    """

    def __init__(
        self,
        board: Board,
        claim: Claim,
        home: Home,
        *,
        alone: bool,
        ask: Callable[[View], Post],
        place: Callable[[View, Post, bool], Post],
        may_ask: Callable[[View], bool],
    ) -> None:
        self.done = threading.Event()
        self.post: Post | None = None
        self.view: View | None = None
        self.interrupt: BaseException | None = None
        self._board = board
        self._claim = claim
        self._home = home
        self._alone = alone
        self._ask = ask
        self._place = place
        self._may_ask = may_ask
        self._settle = _CLAIM_SETTLES
        self._answer: Post | None = None
        self._homeless = False
        self._lock = threading.Lock()
        self._renewal = threading.Lock()
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the call has been under way."""
        return time.monotonic() - self._began

    @property
    def open(self) -> bool:
        """Whether there is an answer to be expected or to be posted."""
        return not self.done.is_set() or self._homeless

    def start(self, view: View) -> None:
        """Claim now, while the trial is sure to run; do the rest in the background."""
        begin = time.monotonic()
        self._renew(asking=self._alone)
        # On a busy server others' claims, too, take their time.
        self._settle += time.monotonic() - begin
        name = f"optuna-llm-sampler-{self._claim.block}"
        threading.Thread(target=self._run, args=(view,), name=name, daemon=True).start()

    def move_to(self, home: Home) -> None:
        """Go on with another trial, because the one before may be over."""
        with self._lock:
            self._home = home
            homeless = self._homeless
        try:
            if homeless:
                self._write_post()
            elif not self.done.is_set():
                self._renew()
        except Exception as error:  # a storage may fail in its own ways
            _logger.debug(f"A call could not be noted on trial {home.number}: {error!r}")

    # --- in the background ------------------------------------------------------------------

    def _run(self, view: View) -> None:
        try:
            winner = view if self._alone else self._settled_view()
            if winner is not None:
                self._fly(winner)
        except ReferenceError:
            pass  # the study was thrown away while its call was under way
        except Exception as error:
            _logger.debug(f"A call was given up: {error!r}")
        except BaseException as error:
            self.interrupt = error
        finally:
            self.done.set()
            self._board.release()

    def _settled_view(self) -> View | None:
        """Return the board once all claims are seen, or None if another one takes precedence."""
        time.sleep(self._settle)
        view = self._board.read()
        if self._claim.block <= view.settled:
            return None
        if not self._may_ask(view):
            return None
        ticket = self._claim.ticket
        if any(rival.asking or rival.ticket < ticket for rival in view.rivals(ticket)):
            return None
        self._renew(asking=True)
        return view

    def _fly(self, view: View) -> None:
        beat = threading.Thread(target=self._beat, name="optuna-llm-sampler-beat", daemon=True)
        beat.start()
        self._answer = self._ask(view)
        for pause in (*_RETRIES, None):
            try:
                self._write_post()
                return
            except ReferenceError:
                raise
            except Exception as error:
                _logger.debug(f"The advice could not be stored yet: {error!r}")
                if self._homeless:
                    return  # the process's next trial will do it
                if pause is None:
                    break
                time.sleep(pause)
        with self._lock:
            self._homeless = True

    def _write_post(self) -> None:
        assert self._answer is not None
        while True:
            home = self._home
            view = self._board.read()
            post = replace(self._answer, trial=home.number)
            post = self._place(view, post, self._homeless)
            try:
                self._board.post(home.trial_id, post)
            except UpdateFinishedTrialError:
                with self._lock:
                    if self._home is home:
                        self._homeless = True
                        raise
                continue
            with self._lock:
                self.post, self.view, self._homeless = post, view, False
            return

    def _beat(self) -> None:
        """Renew the claim until the call is over, so that others know that it is alive."""
        try:
            while not self.done.wait(self._claim.lease / 4):
                try:
                    self._renew()
                except ReferenceError:
                    return
                except Exception as error:  # between two trials there is none to write on
                    _logger.debug(f"A claim was not renewed: {error!r}")
        finally:
            self._board.release()

    def _renew(self, *, asking: bool = False) -> None:
        """Write the claim on the trial that runs; ``asking`` for good, once it is so."""
        with self._renewal:
            home = self._home
            self._claim = replace(self._claim, asking=asking or self._claim.asking)
            # Before it asks, a claim lasts only as long as it takes to settle.
            lease = self._claim.lease if self._claim.asking else 10 * self._settle
            now = time.time()
            claim = replace(self._claim, trial=home.number, at=now, lease=lease)
            self._board.claim(home.trial_id, claim)
