"""What every run does before it reads a row, and says of itself afterwards."""

from __future__ import annotations

import hmac
import secrets
from itertools import pairwise

from privsynth.errors import ConfigError
from privsynth.generators.registry import Generator, generator_info, load_generator, load_restore
from privsynth.pipeline.config import SynthesizeConfig
from privsynth.pipeline.environment import Environment
from privsynth.pipeline.writing.report_records import Signing
from privsynth.signing.envelope import Signer
from privsynth.signing.store import open_key
from privsynth.testing.generators import check_generator

DEMO = "DEMO"  # name of the key of demonstrations, which reports point out


def checked_generator(name: str, env: Environment) -> Generator:
    """Return a generator; one of another package is held to the contract of generators first, on invented rows."""
    info = generator_info(name)
    generator = load_generator(name)
    if info.extension is not None:
        env.progress("checking the generator", 0.0)
        check_generator(generator, load_restore(info))
        if generator.name != name:
            raise ConfigError(f"the generator '{name}' calls itself by another name; update or uninstall its package")
    return generator


def signing_key(config: SynthesizeConfig, env: Environment) -> tuple[Signer | None, str, Signing]:
    """Return the key that will sign, its holder, and what the report says of them; no key if none is asked for.

    A log that could not be written at the end is found here, before anything is spent.
    """
    if env.log is not None:
        env.log.require_ready(env.now)
    if config.key is None:
        return None, "", Signing()
    key, entry = open_key(env.home, config.key, env.passphrase, now=env.now)
    signer = f"{entry.holder}, key {key.public.fingerprint}"
    return key, entry.holder, Signing(signer=signer, demo=config.key == DEMO)


def durations(clock: dict[str, float]) -> dict[str, float]:
    """Return the seconds of each stage, from the moments at which stages ended."""
    return {name: round(clock[name] - clock[before], 3) for before, name in pairwise(clock)}


def keyed_commitment(fingerprint: bytes) -> str:
    """Return a digest of a fingerprint under a key that nobody has."""
    return hmac.new(secrets.token_bytes(32), fingerprint, "sha256").hexdigest()
