"""Who gets the next trial: pure functions of plain data."""
