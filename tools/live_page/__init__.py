"""Development scripts of the live page: screenshots in a browser, and what the page costs recognition."""
