"""The viewer: recorded runs in a browser, on this machine only. Reviews of cases are kept with their run."""
