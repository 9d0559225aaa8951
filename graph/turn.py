"""One reply as nested streams: sentences -> speech -> face."""
