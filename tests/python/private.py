"""The real daemon of tests/system, with a limit that suits these tests."""

import harness


class Daemon(harness.Daemon):
    """A brined of this build with a directory of its own, which stays when it is killed."""

    def __init__(self, folder):
        super().__init__(folder, "--set", "max_size=64M")
        self.socket = str(self.socket)
