"""The conformance suite: cases are data in spec/conformance, this package runs them.

It imports nothing of phonebook but `phonebook.share`, so that it cannot share a mistake with the
server that it tries. It needs the standard library and PyYAML, on every system.
"""
