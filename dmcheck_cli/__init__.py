"""dmcheck: hands out accounts to check to many clients, fairly, and takes their answers back."""

__version__ = "0.3.0"
"""The release, also that of the package's metadata. Importing what reads those would slow each fetch down."""
