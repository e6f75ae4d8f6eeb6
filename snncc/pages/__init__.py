"""Pages of results: one self-contained HTML file each, which needs no network to be read."""
