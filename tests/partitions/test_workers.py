"""Workers end with the run that started them, also where it is killed."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

PROGRAM = """
import os
import sys

from privsynth.partitions.executors.processes import ProcessesExecutor


def hold(path):
    os.write(os.open(path, os.O_WRONLY), b"x")  # open until the process ends
    return 0


if __name__ == "__main__":
    with ProcessesExecutor(2) as executor:
        for _ in executor.map(hold, [sys.argv[1]] * 4):
            pass
        print("done", flush=True)
        sys.stdin.read()
"""


def test_workers_of_a_killed_run_end(tmp_path):
    """They hold private rows."""
    pipe, program = tmp_path / "pipe", tmp_path / "program.py"
    os.mkfifo(pipe)
    program.write_text(PROGRAM)
    held = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    command = [sys.executable, str(program), str(pipe)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"done\n"
        assert os.read(held, 4) == b"xxxx"
        run.send_signal(signal.SIGKILL)
        run.wait()
        ended, _, _ = select.select([held], [], [], 60)
        assert ended
        assert os.read(held, 1) == b""
    os.close(held)
