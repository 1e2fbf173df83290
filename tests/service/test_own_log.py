"""The service makes its log, with what was released before, and a backup holds it."""

from __future__ import annotations

from service.deciders import RUN

from privsynth.service.oversight.backup import back_up, bring_back
from privsynth.service.oversight.own_log import ensure_log
from privsynth.service.settings import ServiceSettings
from privsynth.transparency.log import configured_log


def kinds(home) -> list[str]:
    log = configured_log(home)
    assert log is not None
    return [entry.kind for entry in log.verify().entries]


def test_the_first_start_enters_what_was_released_before_and_later_ones_change_nothing(deciders):
    assert deciders.decide("ann", "approved").status_code == 303
    home = deciders.service.home
    for _ in range(2):
        ensure_log(deciders.service)
        assert kinds(home) == ["release", "approved"]
    assert deciders.decide("bob", "approved").status_code == 303
    assert deciders.post("ann", f"/runs/{RUN}/publish").status_code == 303
    assert kinds(home) == ["release", "approved", "approved", "published"]


def test_a_release_that_does_not_verify_is_not_entered(deciders):
    (deciders.draft / "public" / "more.txt").write_text("put there later")
    ensure_log(deciders.service)
    assert kinds(deciders.service.home) == []


def test_a_backup_holds_the_log_and_a_newer_one_stays(deciders, tmp_path):
    home = deciders.service.home
    ensure_log(deciders.service)
    (home / "service" / "secret").write_bytes(b"x" * 32)
    back_up(ServiceSettings(database="postgresql://elsewhere"), home, tmp_path / "copy")
    (tmp_path / "new").mkdir()
    bring_back(tmp_path / "new", tmp_path / "copy")
    assert kinds(tmp_path / "new") == ["release"]
    assert deciders.decide("ann", "approved").status_code == 303
    (home / "service").rename(home / "service-old")
    bring_back(home, tmp_path / "copy")
    assert kinds(home) == ["release", "approved"]
