"""One reader for each kind of data set: folders, CSV files, tar shards, Parquet."""
