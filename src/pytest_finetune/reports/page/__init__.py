"""The run page: one self-contained HTML file on which a reviewer decides whether a model ships."""
