"""Values, errors, text and files: what every other package may use; nothing here imports from another package."""
