"""One module per role; each has ``run(channel, start, config, place)`` and returns the JSON bytes of the result."""
