"""The LiteRT writer."""
