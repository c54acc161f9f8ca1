"""Fine-tuning jobs: created over the API, validated, queued, trained one at a time, and reported step by step."""
