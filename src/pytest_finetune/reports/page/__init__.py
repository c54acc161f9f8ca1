"""The run page: one self-contained HTML file for deciding whether a model ships."""
