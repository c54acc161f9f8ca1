"""The local OpenAI-compatible server: chat, files, fine-tuning jobs and batches, real and on one's own machine."""
