"""One file per change of the tables, each named after its number."""
