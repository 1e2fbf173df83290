"""What laws and guidelines ask, beside what a release shows, leaves open and who must decide."""
