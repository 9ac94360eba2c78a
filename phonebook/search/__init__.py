"""Finding entries: queries, the index as flat tables, matching and rank, the nearest names.

Implements spec/phonebook.md, sections 9.2 to 9.6, over a projected directory. Knows entries; knows
no octets of a reply, no file and no socket.
"""
