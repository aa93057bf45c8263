"""A model as values: its card, its arrays, its inference graph, and how each file format stores the card."""
