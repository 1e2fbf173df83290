"""The noisy tables that a release paid for, as files and as answers with intervals."""
