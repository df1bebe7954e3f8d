"""Providers: who answers, in which order, and what happens when one does not."""
