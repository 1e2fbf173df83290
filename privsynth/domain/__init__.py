"""The private domain stage: what nobody declared of columns is bought here, and becomes codecs."""
