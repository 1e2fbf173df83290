"""What a model that is trained on synthetic rows is worth on real ones."""
