"""Many people who talk to the face at once: a Locust file, and a command that runs it.

``python -m benchmarks.load --users 8 --turns 80`` starts a server (or takes the one at ``--url``),
lets 8 users converse without Locust's web page, and prints tables and, last on stdout, one line of
JSON. With the web page, with workers on other machines, or against any server:
``python -m locust -f benchmarks/load.py --host http://...``, and Locust's own options.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # Locust adds the folder of this file only
    sys.path.insert(0, str(ROOT))

if __name__ == "__main__":
    from benchmarks.load_run import main

    sys.exit(main())
else:  # Locust has been imported already, and so has made sockets its own
    from benchmarks.load_users import Visitor

    __all__ = ["Visitor"]
