"""Batches: many chat requests in a file, answered in their own time, and on from where they were after a restart."""
