"""Python runs this at each start where PYTHONPATH names this folder, as it does while tests run."""

import tap

tap.install()
