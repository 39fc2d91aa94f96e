"""Training of plans: many at once (`population`), one at a time (`solo`), or not at all (`fake`)."""
