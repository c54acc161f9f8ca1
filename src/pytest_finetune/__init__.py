"""pytest-finetune: eval sets as pytest cases, so that a fine-tuned model ships on evidence."""

__version__ = "0.1.0"
