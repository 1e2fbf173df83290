"""HTML pages that are not reports, and where the sources of all pages are."""
