"""Chat completions: checked, handed to a llama.cpp server in this process, and handed back as OpenAI has them."""
