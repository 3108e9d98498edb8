"""Pure mathematics on arrays: returns, losses, statistics. Knows neither networks nor environments."""
