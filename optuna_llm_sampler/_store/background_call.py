"""One call to the model in the background: claim, ask, record. Never blocks a trial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
import threading
import time

from optuna.exceptions import UpdateFinishedTrialError
from optuna.logging import get_logger

from .records import AdviceRecord, Claim
from .store import AdviceStore, Snapshot


_logger = get_logger(f"optuna.{__name__}")

# Two workers that claim at the same time see each other's claim after this many seconds.
_CLAIM_SETTLES = 0.3
# Until then, a claim lasts this many times as long: its worker may have died.
_UNSETTLED_LEASE = 10
# How often a claim looks for the next trial of its process, in seconds.
_HOST_POLL = 0.01
# Pauses before a record is written again, in seconds: a database server restarts in that time.
_RETRIES = (0.5, 2.0, 5.0)


@dataclass(frozen=True)
class HostTrial:
    """The running trial of this process on which claim and record are stored."""

    trial_id: int
    number: int


class BackgroundCall:
    """A call under way, in daemon threads, so that it never keeps a process alive.

    Args:
        store:
            Where to claim and to record.
        claim:
            What is asked for. Renewed four times within its lease.
        host:
            The trial on which the call begins.
        is_alone:
            Whether no other trial runs that could claim the same.
        ask:
            Calls the model, given a snapshot.
        schedule:
            Adds to a record which trials it serves, given a snapshot and whether the host trial
            has only begun.
        may_ask:
            Returns whether the model may still be asked once all claims are seen.

    Attributes:
        done:
            Set when there is nothing more to wait for.
        record:
            The record that was stored, if any.
        snapshot:
            What the store held just before.
        interrupt:
            A :exc:`KeyboardInterrupt` or the like, which the waiting thread has to raise.
    """

    def __init__(
        self,
        store: AdviceStore,
        claim: Claim,
        host: HostTrial,
        *,
        is_alone: bool,
        ask: Callable[[Snapshot], AdviceRecord],
        schedule: Callable[[Snapshot, AdviceRecord, bool], AdviceRecord],
        may_ask: Callable[[Snapshot], bool],
    ) -> None:
        self.done = threading.Event()
        self.record: AdviceRecord | None = None
        self.snapshot: Snapshot | None = None
        self.interrupt: BaseException | None = None
        self._store = store
        self._claim = claim
        self._host = host
        self._is_alone = is_alone
        self._ask = ask
        self._schedule = schedule
        self._may_ask = may_ask
        self._settle = _CLAIM_SETTLES
        self._answer: AdviceRecord | None = None
        self._undelivered = False
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._renewal = threading.Lock()
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the call began."""
        return time.monotonic() - self._began

    @property
    def open(self) -> bool:
        """Whether an answer is expected, or has yet to be stored."""
        return not self.done.is_set() or self._undelivered

    def start(self, snapshot: Snapshot) -> None:
        """Claim now, while the host trial is sure to run; do the rest in the background."""
        begin = time.monotonic()
        self._renew(asking=self._is_alone)
        # On a busy server, the claims of others take longer, too.
        self._settle += time.monotonic() - begin
        name = f"optuna-llm-sampler-{self._claim.block}"
        threading.Thread(target=self._run, args=(snapshot,), name=name, daemon=True).start()

    def move_to(self, host: HostTrial) -> None:
        """Go on with another trial, because the one before may have ended."""
        with self._lock:
            self._host = host
            undelivered = self._undelivered
        try:
            if undelivered:
                self._write_record()
            elif not self.done.is_set():
                self._renew()
        except Exception as error:  # each storage raises its own errors
            _logger.debug(f"A call could not be stored on trial {host.number}: {error!r}")

    # --- in the background ------------------------------------------------------------------

    def _run(self, snapshot: Snapshot) -> None:
        try:
            current = snapshot if self._is_alone else self._win_claim()
            if current is not None:
                self._run_call(current)
        except ReferenceError:
            pass  # the study was deleted while its call was under way
        except Exception as error:
            _logger.debug(f"A call was given up: {error!r}")
        except BaseException as error:
            self.interrupt = error
        finally:
            self.done.set()
            self._store.release()

    def _win_claim(self) -> Snapshot | None:
        """Return the store once all claims are seen, or None if another one takes precedence."""
        time.sleep(self._settle)
        snapshot = self._store.read()
        if self._claim.block < snapshot.next_block or not self._may_ask(snapshot):
            return None
        asked_on = self._claim.asked_on
        others = snapshot.other_claims(asked_on)
        if any(other.asking or other.asked_on < asked_on for other in others):
            return None
        return snapshot if self._announce() else None

    def _announce(self) -> bool:
        """Write that the call is under way: on the next trial, if the host trial has just ended.

        Given up, a claim that the next trial has taken over would stop all others from asking.
        """
        until = time.monotonic() + _UNSETTLED_LEASE * self._settle
        while time.monotonic() < until:
            host = self._host
            try:
                self._renew(asking=True)
                return True
            except UpdateFinishedTrialError:
                while self._host is host and time.monotonic() < until:
                    time.sleep(_HOST_POLL)
        return False

    def _run_call(self, snapshot: Snapshot) -> None:
        name = "optuna-llm-sampler-renewal"
        threading.Thread(target=self._keep_claim, name=name, daemon=True).start()
        self._answer = self._ask(snapshot)
        for pause in (*_RETRIES, None):
            try:
                self._write_record()
                return
            except ReferenceError:
                raise
            except Exception as error:
                _logger.debug(f"The advice could not be stored yet: {error!r}")
                if self._undelivered:
                    return  # the process's next trial will do it
                if pause is None:
                    break
                time.sleep(pause)
        with self._lock:
            self._undelivered = True

    def _write_record(self) -> None:
        """Store the answer once, though several trials of this process may try at a time."""
        assert self._answer is not None
        with self._writing:
            while self.record is None:
                host = self._host
                snapshot = self._store.read()
                record = replace(self._answer, trial=host.number)
                record = self._schedule(snapshot, record, self._undelivered)
                try:
                    if record.call_id not in snapshot.answered:  # an error may follow a commit
                        self._store.record(host.trial_id, record)
                except UpdateFinishedTrialError:
                    with self._lock:
                        if self._host is host:
                            self._undelivered = True
                            raise
                    continue
                with self._lock:
                    self.record, self.snapshot, self._undelivered = record, snapshot, False

    def _keep_claim(self) -> None:
        """Renew the claim until the call ends, so that others know that it is alive."""
        try:
            while not self.done.wait(self._claim.lease / 4):
                try:
                    self._renew()
                except ReferenceError:
                    return
                except Exception as error:  # between two trials, no trial can be written
                    _logger.debug(f"A claim was not renewed: {error!r}")
        finally:
            self._store.release()

    def _renew(self, *, asking: bool = False) -> None:
        """Write the claim to the current host trial. Once set, ``asking`` stays set."""
        with self._renewal:
            host = self._host
            self._claim = replace(self._claim, asking=asking or self._claim.asking)
            unsettled = _UNSETTLED_LEASE * self._settle
            lease = self._claim.lease if self._claim.asking else unsettled
            claim = replace(self._claim, trial=host.number, at=time.time(), lease=lease)
            self._store.claim(host.trial_id, claim)
