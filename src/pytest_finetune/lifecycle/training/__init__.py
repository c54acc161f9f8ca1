"""Fine-tuning jobs on any server that speaks the fine-tuning API: begun once, followed to the end, and diagnosed."""
