"""The version of this software; the change log says what each one changed for readers of the data."""

VERSION = "0.1.0"
