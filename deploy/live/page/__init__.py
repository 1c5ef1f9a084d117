"""The live page: what a stream receives and recognises, in a browser."""
