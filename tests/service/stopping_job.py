"""The process of a run that spends like a real one, and waits at a chosen step for its end.

It says on a named pipe that it has come there, so that the moment of a kill is no matter of luck.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

from privsynth.interrupts import no_interrupts
from privsynth.ledger.ledger import Ledger
from privsynth.release.out_folder import OutFolder
from privsynth.service.worker import job
from privsynth.workspace import Workspace

STEPS = ("begun", "reserved", "drawn", "published", "completed")


def release(order: job.JobOrder, tell: Callable[..., None]) -> bool:
    """Spend, write and let a release appear, in the order of the pipeline."""
    wanted, pipe = sys.argv[1:]

    def come_to(step: str) -> None:
        tell(stage=step, share=0.5)
        if step == wanted:
            with open(pipe, "w") as out:  # waits for whoever listens
                out.write(str(os.getpid()))
            threading.Event().wait()

    come_to("begun")
    ledger = Ledger.chosen(order.home)
    cost = {"epsilon": order.request.epsilon, "delta": order.request.delta}
    with OutFolder(order.out, order.home) as place:
        dataset = order.origin.dataset
        with (
            ledger.reserve(dataset, **cost, unit="row", run_id=order.run_id) as reservation,
            Workspace(order.home) as workspace,
        ):
            staged = workspace.folder / "release"
            for part in ("public", "officer"):
                (staged / part).mkdir(parents=True)
                (staged / part / "manifest.json").write_text(part)
            come_to("reserved")
            reservation.bind(b"0123456789abcdef")
            reservation.mark_drawn()
            come_to("drawn")
            place.bring(staged)
            with no_interrupts():
                place.publish()
                come_to("published")
                reservation.complete()
        come_to("completed")
    return False


if __name__ == "__main__":
    job._release = release
    job.main()
