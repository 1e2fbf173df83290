"""Descriptions of a release in the formats of catalogues and lineage stores: functions of its public report."""
