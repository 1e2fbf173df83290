"""privsynth: share a differentially private copy of a sensitive table, with signed reports.

    import privsynth

    made = privsynth.synthesize("admissions.csv", unit="patient_id", max_rows_per_unit=3, epsilon=1, out="out")
    rows = made.release.data()  # a pandas DataFrame
    privsynth.verify("out/public", "st-mary.json")

The functions are the commands of the same names; `audit_table` is `privsynth audit`. `Synthesizer` makes releases with
the conventions of scikit-learn. Importing this module loads nothing heavy: pandas and torch come with the first call
that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from privsynth.api.answers import answer
from privsynth.api.functions import audit_table, impute, plan, sample, synthesize, verify
from privsynth.api.synthesizer import Synthesizer
from privsynth.errors import (
    BudgetError,
    BudgetExceeded,
    CheckFailed,
    ConfigError,
    InputError,
    KeyFileError,
    LedgerError,
    LedgerUnavailable,
    LittleToLearn,
    LogDamaged,
    LogUnavailable,
    MissingPackageError,
    NotAllowed,
    NotFittedError,
    OutputError,
    PrivsynthError,
    PrivsynthWarning,
    ReleaseRevoked,
    SchemaError,
    ServiceUnavailable,
    SourceError,
    TooManyRequests,
    UnknownSigner,
    VerificationError,
    WorkerError,
)
from privsynth.extras import needs

if TYPE_CHECKING:
    from privsynth.findings.finding import Finding
    from privsynth.pipeline.audits.outside_audit import AuditResult
    from privsynth.pipeline.result import SynthesisResult
    from privsynth.pipeline.usability.planned import Plan
    from privsynth.policy.judge import Judgement
    from privsynth.release.folder import Release
    from privsynth.release.impute import ImputationResult
    from privsynth.release.noisy.answer import AnswerResult
    from privsynth.release.sample import SampleResult
    from privsynth.sampling.synthetic_model import SyntheticModel
    from privsynth.schema.definition import Schema
    from privsynth.signing.keyring import Keyring
    from privsynth.signing.verification import VerificationResult
    from privsynth.sources.protocol import SourceOptions

__version__ = "0.1.0"

__all__ = [
    "AnswerResult",
    "AuditResult",
    "BudgetError",
    "BudgetExceeded",
    "CheckFailed",
    "ConfigError",
    "Finding",
    "ImputationResult",
    "InputError",
    "Judgement",
    "KeyFileError",
    "Keyring",
    "LedgerError",
    "LedgerUnavailable",
    "LittleToLearn",
    "LogDamaged",
    "LogUnavailable",
    "MissingPackageError",
    "NotAllowed",
    "NotFittedError",
    "OutputError",
    "Plan",
    "PrivsynthError",
    "PrivsynthWarning",
    "Release",
    "ReleaseRevoked",
    "SampleResult",
    "Schema",
    "SchemaError",
    "ServiceUnavailable",
    "SourceError",
    "SourceOptions",
    "SynthesisResult",
    "Synthesizer",
    "SyntheticModel",
    "TooManyRequests",
    "UnknownSigner",
    "VerificationError",
    "VerificationResult",
    "WorkerError",
    "__version__",
    "answer",
    "audit_table",
    "impute",
    "plan",
    "sample",
    "synthesize",
    "verify",
]

# Public classes that live in modules which import pandas or pydantic, loaded when they are first asked for: name ->
# module and the extra that it belongs to.
_LAZY = {
    "AnswerResult": ("privsynth.release.noisy.answer", "sample"),
    "AuditResult": ("privsynth.pipeline.audits.outside_audit", "synthesize"),
    "Finding": ("privsynth.findings.finding", ""),
    "ImputationResult": ("privsynth.release.impute", "synthesize"),
    "Judgement": ("privsynth.policy.judge", ""),
    "Keyring": ("privsynth.signing.keyring", ""),
    "Plan": ("privsynth.pipeline.usability.planned", "synthesize"),
    "Release": ("privsynth.release.folder", "sample"),
    "SampleResult": ("privsynth.release.sample", "sample"),
    "Schema": ("privsynth.schema.definition", ""),
    "SourceOptions": ("privsynth.sources.protocol", "sample"),
    "SynthesisResult": ("privsynth.pipeline.synthesize", "synthesize"),
    "SyntheticModel": ("privsynth.sampling.synthetic_model", "sample"),
    "VerificationResult": ("privsynth.signing.verification", ""),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'privsynth' has no attribute {name!r}")
    module, extra = _LAZY[name]
    with needs(extra):
        found = getattr(import_module(module), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
