"""An append-only log of releases and decisions, whose signed checkpoints and proofs anybody can check (C2SP tlog)."""
