"""The local OpenAI-compatible server: chat completions, files, fine-tuning jobs and batches."""
