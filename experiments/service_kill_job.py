"""What stands for the process of a run in `service_kill.py`: the real ledger and a release of two small files."""

from __future__ import annotations

import time
from collections.abc import Callable

from privsynth.ledger.ledger import Ledger
from privsynth.release.out_folder import OutFolder
from privsynth.service.worker import job
from privsynth.workspace import Workspace

STEP_S = 0.05  # between two steps: long enough for many kills to fall into it


def release(order: job.JobOrder, tell: Callable[..., None]) -> bool:
    """Spend, write and let a release appear, in the order of the pipeline and without its work."""

    def step(name: str) -> None:
        tell(stage=name, share=0.5)
        time.sleep(STEP_S)

    step("begun")
    ledger = Ledger.chosen(order.home)
    cost = {"epsilon": order.request.epsilon, "delta": order.request.delta}
    with (
        OutFolder(order.out, order.home) as place,
        ledger.reserve(order.origin.dataset, **cost, unit="row", run_id=order.run_id) as reservation,
        Workspace(order.home) as workspace,
    ):
        step("reserved")
        for part in ("public", "officer"):
            (workspace.folder / "release" / part).mkdir(parents=True)
            (workspace.folder / "release" / part / "manifest.json").write_text(part)
        reservation.bind(b"0123456789abcdef")
        reservation.mark_drawn()
        step("drawn")
        place.bring(workspace.folder / "release")
        place.publish()
        step("published")
        reservation.complete()
    return False


if __name__ == "__main__":
    job._release = release
    job.main()
