"""How the code of a package is brought to run, one module per kind of package."""
