"""One file or folder a format that networks are imported from."""
