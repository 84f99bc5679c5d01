"""What runs inside the subprocess. Imports only the standard library, msgspec and, for search, apsw."""
