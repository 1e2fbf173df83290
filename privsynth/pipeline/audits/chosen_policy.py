"""The policy that a run was asked to be judged by."""

from __future__ import annotations

from pathlib import Path

from privsynth.pipeline.writing.report_records import report_titles
from privsynth.policy.files import LoadedPolicy, load_policy


def chosen_policy(policy: str | Path | None) -> LoadedPolicy | None:
    """Return a policy by its name or path; None if none was named.

    Whatever any audit of this installation measures may be in it, at each level, of one table or of linked ones.

    Raises:
      ConfigError: it cannot be read, is no policy, or has a metric that nothing measures.
    """
    return None if policy is None else load_policy(str(policy), metrics=report_titles())
