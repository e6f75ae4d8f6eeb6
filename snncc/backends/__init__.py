"""One folder a backend: each turns an integer network into an artefact and runs it."""
