"""Detection: where things are in a photo, and which (Table 13)."""
