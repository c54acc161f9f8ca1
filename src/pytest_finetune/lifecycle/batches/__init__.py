"""Batches: the requests of a whole plan as files, for the batch price of a server or for an offline engine."""
