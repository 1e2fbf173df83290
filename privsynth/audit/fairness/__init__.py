"""How groups of people fare: base rates, calibration, models trained on synthetic rows."""
