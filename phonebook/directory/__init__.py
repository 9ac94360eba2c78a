"""The directory: entries, the names and numbers in them as people write them, and finding them."""
