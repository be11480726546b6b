"""Which structures to label next, and how precisely, so that an answer becomes as sure as labels can make it."""
