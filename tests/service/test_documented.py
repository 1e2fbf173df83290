"""docs/service.md has every setting, and what is shipped to install the service parses and knows only settings.

`PRIVSYNTH_UPDATE_DOCS=1 pytest tests/service/test_documented.py` writes the table of settings.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import yaml

from privsynth.service.settings import PREFIX, ServiceSettings, read_settings

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "service.md"
BEGIN, END = "<!-- settings: written by tests/service/test_documented.py -->\n", "<!-- end of settings -->\n"


def table() -> str:
    """Return the settings as Markdown."""
    rows = ["\n| Setting | Unless set | What it is |\n|---|---|---|\n"]
    for name, field in ServiceSettings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = {True: "true", False: "false"}.get(default, default) if isinstance(default, bool) else default
        assert field.description, name
        rows.append(f"| `{name}` | {f'`{shown}`' if shown not in ('', {}) else ''} | {field.description} |\n")
    return "".join(rows) + "\n"


def test_the_page_lists_every_setting():
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    written, end, after = rest.partition(END)
    assert end
    if os.environ.get("PRIVSYNTH_UPDATE_DOCS") == "1":
        PAGE.write_text(before + BEGIN + table() + END + after, encoding="utf-8")
        return
    assert written == table(), "PRIVSYNTH_UPDATE_DOCS=1 pytest tests/service/test_documented.py"


def test_what_compose_sets_are_settings_and_its_files_are_there(monkeypatch, tmp_path):
    text = (ROOT / "deploy" / "docker-compose.yml").read_text(encoding="utf-8")
    services = yaml.safe_load(text)["services"]
    assert {"database", "migrate", "service", "worker"} == set(services)
    for name in ("migrate", "service", "worker"):
        told = {key: str(value) for key, value in services[name]["environment"].items() if key.startswith(PREFIX)}
        assert read_settings(None, told).database.startswith("postgresql://")
        assert services[name]["build"]["context"] == ".."
        assert (ROOT / services[name]["build"]["dockerfile"]).is_file()
        assert services[name].get("read_only") is True
    assert services["worker"]["command"][1] == "worker"


def test_the_image_copies_what_is_there_and_is_not_root():
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, flags=re.M):
        for name in line.split()[:-1]:
            assert (ROOT / name).exists(), name
    assert re.search(r"^USER (?!root)\w+", text, flags=re.M)
    assert "--require-hashes" in text
