"""From what a run has made to the files of a release: reports, public schema, signatures, the last step."""
