"""How well models trained on synthetic rows work on real ones."""
