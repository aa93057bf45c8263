"""The gates that an exported file must pass."""
