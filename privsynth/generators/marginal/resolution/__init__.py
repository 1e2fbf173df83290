"""How finely codes are told apart: in the tables that are bought, and in the mixture that is fitted to them."""
