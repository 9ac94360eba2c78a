"""The command line: arguments in, text out. A command imports what it needs when it runs."""
