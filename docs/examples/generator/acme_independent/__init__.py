"""A generator for privsynth: each column by itself. What a list of generators shows; nothing heavy is imported."""

from privsynth.generators.registry import GeneratorInfo

INFO = GeneratorInfo(
    name="independent",
    private=True,
    summary="noisy counts of each column by itself; no column depends on another",
    module="acme_independent.generator",
    fitted="acme_independent.fitted",
)
