"""Fine-tuning jobs: asked for over the wire, checked, queued, trained one at a time, and told step by step."""
