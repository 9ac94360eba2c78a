"""Phonebook: a text directory protocol, its server and its clients."""

__version__ = "0.1.0"
