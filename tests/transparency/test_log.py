"""The log on a disk: writers that die at any byte, at once or in a queue, full disks, and people who change it."""

import json
import os
import random
import shutil
import signal
import stat
from datetime import timedelta

import pytest
from transparency.log_facts import NOW, fact

from privsynth.errors import ConfigError, LogDamaged, LogUnavailable, VerificationError
from privsynth.signing.keys import SigningKey
from privsynth.transparency import tiles
from privsynth.transparency.checkpoint import LogCheckpoint
from privsynth.transparency.log import TransparencyLog, configured_log
from privsynth.transparency.merkle import leaf_hash, root
from privsynth.transparency.note import VerifierKey, sign_note
from privsynth.transparency.seen import SeenLogs


def fresh(log, home):
    """Return the log as somebody sees it who never saw it before."""
    home.mkdir(exist_ok=True)
    return TransparencyLog(log.folder, SeenLogs(home))


def snapshot(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_entries_are_read_back_in_a_chain(log):
    log.append([fact(0), fact(1)], NOW)
    state = log.append([fact(2, "superseded", "c" * 64)], NOW + timedelta(seconds=9))
    assert [entry.fact for entry in state.entries] == [fact(0).fact, fact(1).fact, fact(2, "superseded", "c" * 64).fact]
    assert [entry.previous for entry in state.entries[1:]] == [leaf_hash(raw).hex() for raw in state.raw[:2]]
    assert log.verify().raw == state.raw
    assert [index for index, _ in state.about("c" * 64)] == [2]


def test_a_fact_is_entered_once(log):
    before = log.append([fact(0), fact(0)], NOW)
    assert log.append([fact(0)], NOW + timedelta(days=1)).note == before.note
    assert before.checkpoint.size == 1


def test_a_log_is_never_written_over_and_its_key_is_for_its_keeper(log, seen):
    with pytest.raises(ConfigError, match="not empty"):
        TransparencyLog.create(log.folder, seen, None)
    with pytest.raises(ConfigError, match="another log"):
        TransparencyLog.create(log.folder.with_name("second"), seen, "st-mary.example/releases")
    assert stat.S_IMODE((log.folder / "log.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE(log.folder.stat().st_mode) == 0o700
    assert not any("PRIVATE" in data.decode("latin-1") for data in snapshot(log.public).values())


@pytest.mark.parametrize("size", [1, 255, 256, 257, 600])
def test_tiles_are_laid_out_as_the_specification_says(log, size):
    state = log.append([fact(n) for n in range(size)], NOW)
    assert log.verify().checkpoint.size == size
    full, rest = divmod(size, 256)
    for level, hashes in (("0", state.leaves), ("entries", None)):
        for number in range(full):
            data = (log.public / "tile" / level / f"{number:03d}").read_bytes()
            assert hashes is None or data == b"".join(hashes[number * 256 : number * 256 + 256])
        if rest:
            data = (log.public / "tile" / level / f"{full:03d}.p" / str(rest)).read_bytes()
            assert hashes is None or data == b"".join(hashes[full * 256 :])
    assert (log.public / "tile" / "1" / "000.p" / str(full)).exists() == (full > 0)


def test_the_path_of_a_tile():
    assert tiles.tile_path(1234067) == "x001/x234/067"
    assert (tiles.tile_path(0), tiles.partial_path(5, 7), tiles.partial_path(5, 256)) == ("000", "005.p/7", "005")


def test_partial_tiles_stay_until_the_full_one_is_there(log):
    for n in range(0, 260, 20):
        log.append([fact(n + i) for i in range(20)], NOW + timedelta(seconds=n))
        assert log.verify().checkpoint.size == n + 20
    assert not (log.public / "tile" / "0" / "000.p").exists()
    assert (log.public / "tile" / "0" / "001.p" / "4").exists()


# --- writers that die ---------------------------------------------------------------------------------------------


def in_a_child(run):
    """Run something in a forked process, and return how that ended."""
    pid = os.fork()
    if pid == 0:
        try:
            run()
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1]


def die():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("start", [0, 3, 255, 256])
def test_a_writer_killed_in_any_write_at_any_part_of_it_leaves_the_old_log_or_the_new_one(log, tmp_path, start):
    log.append([fact(n) for n in range(start)], NOW)
    new, sizes = fact(9_999), []
    for step in range(1, 5 if start != 255 else 6):  # one more than there are writes
        for share in (0.0, 0.4, 1.0, None) if start < 255 else (0.4, None):  # of the bytes of a write; None: after it
            copy = tmp_path / f"copy-{step}-{share}"
            shutil.copytree(log.folder, copy)
            home = tmp_path / f"home-{step}-{share}"
            home.mkdir()
            victim = TransparencyLog(copy, SeenLogs(home))
            real, count = tiles.atomic_write, [0]

            def write(path, data, *, step=step, share=share, count=count, real=real):
                count[0] += 1
                if count[0] == step and share is not None:
                    path.with_name(f".{path.name}.{os.getpid()}.tmp").write_bytes(data[: int(len(data) * share)])
                    die()
                real(path, data)
                if count[0] == step:
                    die()

            def run(victim=victim, write=write):
                tiles.atomic_write = write
                victim.append([new], NOW + timedelta(days=1))
                os._exit(0)

            ended = in_a_child(run)
            state = victim.verify()
            assert state.checkpoint.size in (start, start + 1)
            assert ended != 0 or state.checkpoint.size == start + 1  # what was acknowledged is there
            after = victim.append([new], NOW + timedelta(days=2))
            assert (after.checkpoint.size, victim.verify().entries[-1].fact) == (start + 1, new.fact)
            assert not list(victim.public.glob(".*.tmp"))
            sizes.append(state.checkpoint.size - start)
    assert {0, 1} == set(sizes)


def test_writers_killed_at_random_lose_nothing_that_they_were_told_is_in(log):
    told, draw, number = [], random.Random(7), 0
    for _ in range(25):
        reader, writer = os.pipe()

        def run(writer=writer, number=number):
            for n in range(number, number + 50):
                log.append([fact(n)], NOW + timedelta(seconds=n))
                os.write(writer, n.to_bytes(4, "big"))

        pid = os.fork()
        if pid == 0:
            try:
                run()
            finally:
                os._exit(1)
        os.close(writer)
        for _ in range(draw.randrange(1, 4)):
            os.read(reader, 4)
        for _ in range(draw.randrange(20_000)):  # some moment of the next one
            pass
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        acknowledged = b"".join(iter(lambda reader=reader: os.read(reader, 4096), b""))
        os.close(reader)
        state = log.verify()
        inside = {entry.fact for entry in state.entries}
        told.append(number + len(acknowledged) // 4)
        number = state.checkpoint.size
        assert all(fact(n).fact in inside for n in range(number))
        assert number >= told[-1]
    assert log.append([fact(number)], NOW + timedelta(days=1)).checkpoint.size == number + 1


def test_writers_at_once_make_one_log(log):
    pids = []
    for who in range(4):
        pid = os.fork()
        if pid == 0:
            try:
                for n in range(12):
                    log.append([fact(1_000 * who + n)], NOW + timedelta(days=1))
                os._exit(0)
            finally:
                os._exit(1)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 4
    inside = {entry.fact for entry in log.verify().entries}
    assert inside == {fact(1_000 * who + n).fact for who in range(4) for n in range(12)}


def test_a_full_disk_leaves_the_old_log_or_the_new_one_and_says_so(log, monkeypatch):
    log.append([fact(0)], NOW)
    real = tiles.atomic_write
    for step in range(1, 4):
        count = [0]

        def write(path, data, *, step=step, count=count):
            count[0] += 1
            if count[0] == step:
                raise OSError(28, "No space left on device")
            real(path, data)

        monkeypatch.setattr(tiles, "atomic_write", write)
        with pytest.raises(LogUnavailable, match="disk is full"):
            log.append([fact(step)], NOW)
        monkeypatch.setattr(tiles, "atomic_write", real)
        assert log.verify().checkpoint.size == 1
    assert log.append([fact(9)], NOW).checkpoint.size == 2


def test_a_limit_of_the_system_on_files_is_a_full_disk(log):
    import resource

    def run():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
        try:
            log.append([fact(0)], NOW)
        except LogUnavailable as problem:
            os._exit(0 if "full" in str(problem) else 2)

    assert in_a_child(run) == 0
    assert log.verify().checkpoint.size == 0


def test_a_log_that_cannot_be_written_is_found_before_anything_is_done(log, monkeypatch):
    log.require_ready(NOW)
    assert not (log.folder / "probe").exists()

    def refuse(path, data):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tiles, "atomic_write", refuse)
    with pytest.raises(LogUnavailable, match="Permission denied"):
        log.require_ready(NOW)


# --- people who change it -----------------------------------------------------------------------------------------


def test_a_log_that_was_rolled_back_is_found_by_who_saw_more(log, tmp_path):
    log.append([fact(0)], NOW)
    shutil.copytree(log.folder, tmp_path / "backup")
    note = log.append([fact(1)], NOW).note
    shutil.rmtree(log.folder)
    shutil.copytree(tmp_path / "backup", log.folder)
    for call in (log.read, log.verify, lambda: log.append([fact(2)], NOW), lambda: log.require_ready(NOW)):
        with pytest.raises(LogDamaged, match="rolled back"):
            call()
    stranger = fresh(log, tmp_path / "other")  # saw nothing: only a checkpoint that was kept tells
    with pytest.raises(LogDamaged, match="rolled back"):
        stranger.read().require_adds_to(LogCheckpoint.opened(note, log.key))


def rewritten(log, tmp_path, kept, instead):
    """Write the log again, with its own key, from other facts; the clock and the folder are those of the keeper."""
    (tmp_path / "forger").mkdir()
    signer = SigningKey.load(log.folder / "log.pem", None)
    shutil.rmtree(log.public / "tile")
    empty = LogCheckpoint(log.key.name, 0, root([]))
    (log.public / "checkpoint").write_bytes(sign_note(empty.to_text(), log.key.name, signer).encode())
    return fresh(log, tmp_path / "forger").append([*kept, *instead], NOW)


def test_history_rewritten_with_the_logs_own_key_is_found_by_who_saw_it(log, tmp_path):
    log.append([fact(0), fact(1, "rejected"), fact(2)], NOW)
    rewritten(log, tmp_path, [fact(0)], [fact(1, "approved"), fact(2), fact(3)])
    with pytest.raises(LogDamaged, match="rewritten"):
        log.read()


def test_two_people_who_are_shown_two_logs_find_out_by_exchanging_checkpoints(log, tmp_path):
    log.append([fact(0)], NOW)
    shutil.copytree(log.folder, tmp_path / "split")
    mine = log.append([fact(1)], NOW)
    other = TransparencyLog(tmp_path / "split", SeenLogs(tmp_path / "home"))
    (tmp_path / "there").mkdir()
    theirs = TransparencyLog(other.folder, SeenLogs(tmp_path / "there")).append([fact(2)], NOW)
    with pytest.raises(LogDamaged, match="rewritten"):
        mine.require_adds_to(LogCheckpoint.opened(theirs.note, log.key))
    with pytest.raises(LogDamaged):
        other.read()  # this home saw the first


@pytest.mark.parametrize("keep", range(0, 400, 23))
def test_a_file_that_was_cut_or_garbled_is_found_and_nothing_is_appended_to_it(log, keep):
    log.append([fact(0)], NOW)
    bundle = log.public / "tile" / "entries" / "000.p" / "1"
    whole = bundle.read_bytes()
    for changed in (whole[:keep], whole[:keep] + b"\x00" * (len(whole) - keep), whole[:keep] + b"?" + whole[keep:]):
        if changed == whole:
            continue
        bundle.write_bytes(changed)
        before = snapshot(log.folder)
        with pytest.raises(LogDamaged):
            log.append([fact(1)], NOW)
        assert {k: v for k, v in snapshot(log.folder).items() if k != "lock"} == {
            k: v for k, v in before.items() if k != "lock"
        }


def test_a_changed_checkpoint_tile_or_key_is_found(log, tmp_path):
    log.append([fact(n) for n in range(3)], NOW)
    note = (log.public / "checkpoint").read_bytes()
    (log.public / "checkpoint").write_bytes(note.replace(b"\n3\n", b"\n2\n"))
    with pytest.raises(VerificationError, match="does not fit"):
        log.read()
    (log.public / "checkpoint").write_bytes(note)
    tile = log.public / "tile" / "0" / "000.p" / "3"
    tile.write_bytes(tile.read_bytes()[:-1] + b"?")
    log.read()  # entries tell everything; tiles are for readers far away
    with pytest.raises(LogDamaged, match="tile"):
        log.verify()
    other = VerifierKey(log.key.name, SigningKey.generate().public)
    (log.public / "key").write_text(f"{other}\n")
    with pytest.raises(VerificationError):
        TransparencyLog(log.folder, SeenLogs(tmp_path / "home")).read()


def test_another_key_than_the_one_first_seen_is_refused(log, tmp_path):
    log.append([fact(0)], NOW)
    imposter = TransparencyLog.create(tmp_path / "imposter", SeenLogs(log.folder), "st-mary.example/releases")
    with pytest.raises(LogDamaged, match="another key"):
        TransparencyLog(imposter.folder, SeenLogs(tmp_path / "home")).read()


def test_a_link_in_the_place_of_a_file_is_refused(log, tmp_path):
    log.append([fact(0)], NOW)
    bundle = log.public / "tile" / "entries" / "000.p" / "1"
    shutil.move(bundle, tmp_path / "elsewhere")
    bundle.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LogDamaged):
        log.read()


def test_time_does_not_run_backwards(log):
    log.append([fact(0)], NOW)
    state = log.append([fact(1)], NOW - timedelta(minutes=2))  # clocks differ a little
    assert state.entries[1].logged_at == NOW
    with pytest.raises(LogUnavailable, match="set the clock"):
        log.append([fact(2)], NOW - timedelta(hours=1))


def test_a_reader_far_away_reads_the_public_folder_alone_and_cannot_append(log, tmp_path):
    log.append([fact(0)], NOW)
    shutil.copytree(log.public, tmp_path / "mirror")
    (tmp_path / "reader").mkdir()
    mirror = TransparencyLog(tmp_path / "mirror", SeenLogs(tmp_path / "reader"), log.key)
    assert mirror.verify().checkpoint.size == 1
    with pytest.raises(LogUnavailable, match="only its keeper"):
        mirror.append([fact(1)], NOW)


def test_a_damaged_memory_is_said_and_not_forgotten(log, tmp_path):
    path = tmp_path / "home" / "logs-seen.json"
    good = json.loads(path.read_bytes())
    for bad in (b"{", b"[]", b'{"logs": {"a": 1}}', json.dumps({**good, "logs": {"a": {}}}).encode()):
        path.write_bytes(bad)
        with pytest.raises(LogDamaged, match=r"not valid|damaged"):
            log.read()


def test_which_log_is_meant(log, tmp_path, monkeypatch):
    assert configured_log(tmp_path / "nowhere") is None
    assert configured_log(tmp_path).folder == log.folder
    assert configured_log(tmp_path / "nowhere") is None
    monkeypatch.setenv("PRIVSYNTH_LOG", str(log.folder))
    assert configured_log(tmp_path / "nowhere").folder == log.folder
    monkeypatch.setenv("PRIVSYNTH_LOG", str(tmp_path / "gone"))
    with pytest.raises(LogUnavailable, match="there is no log"):
        configured_log(tmp_path)


def test_the_log_that_somebody_keeps_neither_vanishes_nor_is_replaced(tmp_path, seen):
    home = tmp_path / "home"
    log = TransparencyLog.create(home / "log", seen, "st-mary.example/releases")
    assert configured_log(home).key == log.key
    shutil.move(home / "log", tmp_path / "gone")
    with pytest.raises(LogDamaged, match="that you keep is not in"):
        configured_log(home)
    (tmp_path / "stranger").mkdir()
    TransparencyLog.create(home / "log", SeenLogs(tmp_path / "stranger"), "other.example/releases")
    with pytest.raises(LogDamaged, match="that you keep is not in"):
        configured_log(home)
    shutil.rmtree(home / "log")
    again = TransparencyLog.create(home / "log", seen, "st-mary.example/second")  # a person starts anew
    assert configured_log(home).key == again.key
