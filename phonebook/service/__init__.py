"""One function: a request and a viewer's snapshot in, a reply out. No I/O, no time, no Twisted.

The only place where octets and entries meet (spec/phonebook.md, sections 3 to 12).
"""
