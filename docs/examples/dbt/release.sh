#!/bin/sh
# Usage: release.sh TABLE.csv OUT
#
# Build the table with dbt, then make a release of it. Exit codes are those of privsynth: 3 means that a check failed
# and the release is there for people to decide, 8 that little could be learned and nothing was spent.
set -eu

dbt build --select admissions_for_release --profiles-dir . --vars "{admissions: $1}"
exec privsynth synthesize admissions_for_release.parquet --schema admissions.schema.yaml --epsilon 1 --policy public \
    --out "$2"
