"""One file a format, from frames in files to structures."""
