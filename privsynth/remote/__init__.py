"""A service of privsynth on another machine, as the command line asks it; nothing of the service is imported here."""
