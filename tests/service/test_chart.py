"""The chart for Kubernetes: its values fit their schema and name settings; Helm, where it is, renders what is safe."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from privsynth.service.settings import PREFIX, ServiceSettings, read_settings

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "privsynth"
REQUIRED = "PRIVSYNTH_REQUIRE_HELM" in os.environ  # its test fails then where there is none
needs_helm = pytest.mark.skipif(shutil.which("helm") is None and not REQUIRED, reason="needs helm")


def helm(*told: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["helm", *told], capture_output=True, text=True, check=False)


def test_every_value_is_in_the_schema_and_every_variable_is_a_setting():
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert set(values) <= set(schema["properties"])
    for name, part in values.items():
        known = schema["properties"][name].get("properties")
        assert known is None or set(part) == set(known), name
    texts = "".join(path.read_text(encoding="utf-8") for path in sorted((CHART / "templates").iterdir()))
    told = {name.lower() for name in re.findall(rf"{PREFIX}([A-Z_]+)\b", texts)}
    assert told <= set(ServiceSettings.model_fields)
    assert told - {"host", "port", "public_url", "database", "workers", "source_folder"} == set()
    used = set(re.findall(r"\.Values\.([\w.]+)", texts))
    for name in used:
        part = values
        for step in name.split("."):
            assert step in part, name
            part = part[step]


@needs_helm
def test_helm_renders_pods_that_may_do_nothing_more():
    assert helm("lint", "--strict", str(CHART)).returncode == 0
    done = helm("template", "demo", str(CHART), "--set", "settings.idle_minutes=20,sources.existingClaim=tables")
    assert done.returncode == 0, done.stderr
    parts = {part["kind"]: part for part in yaml.safe_load_all(done.stdout) if part}
    assert set(parts) == {"Job", "Deployment", "Service", "PersistentVolumeClaim", "NetworkPolicy"}
    for kind in ("Job", "Deployment"):
        pod = parts[kind]["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for one in pod["containers"]:
            assert one["securityContext"]["readOnlyRootFilesystem"] is True
            assert one["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            told = {pair["name"]: pair["value"] for pair in one["env"] if pair["name"].startswith(PREFIX)}
            assert read_settings(None, told).idle_minutes == 20
    wrong = helm("template", "demo", str(CHART), "--set", "database.url=postgresql://u:secret@h/d")
    assert (wrong.returncode, "/database/url" in wrong.stderr) == (1, True)
