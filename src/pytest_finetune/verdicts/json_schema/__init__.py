"""JSON Schema validation that no schema and no answer can crash or hang."""
