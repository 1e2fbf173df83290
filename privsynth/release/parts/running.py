"""Tasks in several threads, which share the model: arrays are drawn, sorted and compressed outside the lock of Python.

Processes were measured too (two cores, `marginal`): each takes 2 s of processor time to start, while threads cost 5 to
12 % more than one task after the other.
"""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from privsynth.errors import OutputError
from privsynth.progress import Progress
from privsynth.release.parts.journal import Files, Journal
from privsynth.release.parts.places import facts_of
from privsynth.release.parts.writing import FileTasks


class _Stopped(Exception):
    """Another task failed, or the user pressed Ctrl-C."""


def run(tasks: FileTasks, journal: Journal, workers: int, progress: Progress) -> Files:
    """Write the files of all tasks that are not finished, at most `workers` at once; return all files in order.

    Raises:
      OutputError: the place or the disk is full or failing.
      ConfigError: no row of the model, or hardly one, satisfies the rules and conditions.
    """
    stop = threading.Event()

    def unless_stopped(_stage: str, _share: float) -> None:
        if stop.is_set():
            raise _Stopped

    def work(task: int) -> tuple[int, Files]:
        return task, _write(tasks, task, journal, unless_stopped)

    found, numbers = dict(journal.kept), range(len(tasks.parts))
    waiting = iter([task for task in numbers if task not in found])
    running: set[Future[tuple[int, Files]]] = set()
    progress("sampling", len(found) / len(numbers))
    with ThreadPoolExecutor(max_workers=min(workers, len(numbers))) as pool:
        try:
            while True:
                for task in waiting:
                    running.add(pool.submit(work, task))
                    if len(running) >= workers:
                        break
                if not running:
                    break
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    number, files = future.result()
                    found[number] = journal.kept[number] = files
                progress("sampling", len(found) / len(numbers))
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return {name: facts for number in sorted(found) for name, facts in found[number].items()}


def _write(tasks: FileTasks, task: int, journal: Journal, progress: Progress) -> Files:
    """Write the files of a task, put them to their place and note that they are there."""
    folder = journal.place.scratch / f"{task:05d}"
    try:
        folder.mkdir()
        files = {
            name: {"rows": rows, **_facts(folder / name)} for name, rows in tasks.write(task, folder, progress).items()
        }
        for name in files:
            progress("sampling", 0.0)
            journal.place.put(folder / name, name)
        journal.finished(task, files)
        shutil.rmtree(folder)
    except OSError as error:
        raise journal.place.full(error) from None
    return files


def _facts(path: Path) -> dict[str, int | str]:
    found = facts_of(path)
    if found is None:
        raise OutputError(f"{path} cannot be read back; check the disk")
    return {"bytes": found[0], "sha256": found[1]}
