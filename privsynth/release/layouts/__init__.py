"""Layouts that others have agreed on: the resources of FHIR, the tables of OMOP."""
