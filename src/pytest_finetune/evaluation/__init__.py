"""Ask a model every case of an eval set, score the answers and keep the record."""
