"""The data workshop: lists and streams of training rows in, lists, files and findings out; nothing here prints."""
