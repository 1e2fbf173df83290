"""Commands for whoever has a release and reads it."""
