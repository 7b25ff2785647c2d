"""Script: what the fork server takes for an application, and is any Python."""


class Script:
    """Python code, run when the application starts."""

    def __init__(self, code):
        self.code = code
        self.io_loop = self

    def add_callback(self, callback):
        callback()

    @classmethod
    def initialize_server(cls, argv):
        return cls(argv[0])

    def start(self):
        exec(compile(self.code, "<script>", "exec"), {"__name__": "__main__"})
