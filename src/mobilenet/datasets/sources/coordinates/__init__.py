"""Where on Earth photos were taken: tables, GPS in EXIF or XMP, shards."""
