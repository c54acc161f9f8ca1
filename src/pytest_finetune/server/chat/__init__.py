"""Chat completions: requests are validated and forwarded to llama.cpp; answers have the format of OpenAI's API."""
