"""What can be said of an integer network without running it on its target: proofs, metrics, reports."""
