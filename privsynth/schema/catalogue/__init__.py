"""What a data catalogue asks of a release and no release can know: who publishes it, who may have it, where to ask."""

from privsynth.schema.catalogue.definition import (
    Catalogue,
    ContactPoint,
    CoveredPeriod,
    HealthCatalogue,
    Organisation,
    covered_period,
)

__all__ = ["Catalogue", "ContactPoint", "CoveredPeriod", "HealthCatalogue", "Organisation", "covered_period"]
