"""Fine-tuning jobs on any server with OpenAI's fine-tuning API: started once, followed to the end, and diagnosed."""
