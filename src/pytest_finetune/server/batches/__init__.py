"""Batches: files of chat requests that are answered in the background; after a restart the remaining ones are."""
