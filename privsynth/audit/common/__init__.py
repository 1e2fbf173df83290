"""What several audits need: the tables, discretised columns, predictors, groups."""
