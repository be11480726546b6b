"""The scripts under examples/, each against an independent answer."""
