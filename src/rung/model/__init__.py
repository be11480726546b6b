"""What a potential is made of, whichever backend it came from."""
