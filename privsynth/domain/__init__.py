"""The private domain stage: releases what nobody declared about columns, and makes codecs of it."""
