"""`python -m phonebook` is `phonebook`."""

import sys

from phonebook.cli.main import main

sys.exit(main())
