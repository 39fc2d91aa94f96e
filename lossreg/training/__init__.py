"""How plans are carried out: many at once (`population`), one at a time (`fit`), or not at all (`fake`)."""
