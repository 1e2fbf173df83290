"""Tables that lie in many Parquet files: folders with partitions (`parquet:PATH`) and Delta tables (`delta:PATH`)."""
