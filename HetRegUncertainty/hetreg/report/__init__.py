"""The report of an evaluation: one HTML page with tables, plots and pictures."""
