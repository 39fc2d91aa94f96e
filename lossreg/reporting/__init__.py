"""Results for people: tables, Markdown, plots of studies and of losses, the catalogue."""
