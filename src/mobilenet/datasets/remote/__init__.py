"""Files that lie elsewhere: addresses, and byte ranges of them."""
