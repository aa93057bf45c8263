"""The C writer."""
