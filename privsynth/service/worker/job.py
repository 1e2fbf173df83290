"""The process of one run: it reads its order from the standard input, makes the release, and says how far it is.

The input stays open as long as the worker lives; when it ends, so does the run. Orders hold the place of a source, so
that they are written to no file and to no command line. What libraries print may quote a cell: it goes nowhere.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from privsynth.errors import UNEXPECTED, CheckFailed, PrivsynthError, unexpected_sentence
from privsynth.interrupts import signals_as_interrupts
from privsynth.service.runs.request import ReleaseRequest, SourcePlace, config_of
from privsynth.service.secret_texts import passphrase_of

NICE = 10  # of 19 (own): pages are answered first
GRACE_S = 120.0  # from the polite request to end to the last one (own): an audit that ends early is written out
_STEP = 0.01  # of a stage, after which it is told anew (own)


class JobOrder(BaseModel):
    """What a process needs to know of its run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    home: Path
    out: Path
    origin: SourcePlace
    request: ReleaseRequest
    policy: str
    key: str
    key_passphrase_file: str
    prior: Path | None = None


def main() -> None:
    """Carry out the order on the standard input."""
    tell = _talk()
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return  # the worker was lost before it had said all
    order = JobOrder.model_validate_json(line)
    threading.Thread(target=_end_with_worker, daemon=True).start()
    os.nice(NICE)
    try:
        with signals_as_interrupts():
            tell(end="released", **_release(order, tell))
    except KeyboardInterrupt:
        tell(end="stopped")
    except PrivsynthError as problem:
        tell(end="failed", sentence=str(problem), exit_code=problem.exit_code)
    except BaseException as problem:
        if _debugging():
            traceback.print_exc()
        tell(end="failed", sentence=unexpected_sentence(problem), exit_code=UNEXPECTED)


def _release(order: JobOrder, tell: Callable[..., None]) -> dict[str, Any]:
    """Make the release; say whether its audit was stopped early, and how the command line would have ended.

    Whoever asked for it reads the exit code, and no exact figure: public figures alone decide it.
    """
    from privsynth.pipeline.environment import Environment
    from privsynth.pipeline.synthesize import synthesize
    from privsynth.policy.one_verdict import overall
    from privsynth.transparency.log import configured_log

    warnings.simplefilter("ignore")
    told = [("", -1.0)]

    def progress(stage: str, share: float) -> None:
        if stage != told[0][0] or share >= told[0][1] + _STEP:
            told[0] = (stage, share)
            tell(stage=stage, share=share)

    env = Environment(
        home=order.home, now=datetime.now(UTC).replace(microsecond=0), report_id=order.run_id, progress=progress,
        passphrase=passphrase_of(order.key_passphrase_file), log=configured_log(order.home),
    )  # fmt: skip
    config = config_of(
        order.origin, order.request, order.out, policy=order.policy, key=order.key, prior=order.prior
    )  # fmt: skip
    result = synthesize(config, env)
    told_to_all = [finding for finding in result.findings if finding.visibility == "public"]
    failed = overall(told_to_all, None) == "fail"
    return {"unfinished": bool(result.unfinished), "exit_code": CheckFailed.exit_code if failed else 0}


def _talk() -> Callable[..., None]:
    """Keep the standard output for ourselves, and return a function that writes a message to it, as a line of JSON."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    if not _debugging():
        os.dup2(nothing, 2)
    os.close(nothing)

    def tell(**message: Any) -> None:
        try:
            out.write(json.dumps(message) + "\n")
            out.flush()
        except OSError:
            pass  # the worker is gone: what is whole is found by whoever comes next

    return tell


def _end_with_worker() -> None:
    """Ask this process to end when the worker is gone, and end it with all that it started if it does not."""
    while os.read(0, 1024):  # not through sys.stdin: its lock would hold up the end of the interpreter
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GRACE_S)
    os.killpg(0, signal.SIGKILL)


def _debugging() -> bool:
    return os.environ.get("PRIVSYNTH_DEBUG") == "1"


if __name__ == "__main__":
    main()
