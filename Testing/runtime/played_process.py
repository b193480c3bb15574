"""A process that a test plays by hand."""

import qt


class FakeBytes:
    def __init__(self, content):
        self.data = lambda: content


class FakeProcess:
    """Acts like a QProcess, by hand."""

    def __init__(self):
        self.slots, self.output, self.errors, self.started, self.environment = {}, b"", b"", None, None

    def setProcessEnvironment(self, environment):
        self.environment = environment

    def connect(self, signal, slot):
        self.slots[signal] = slot

    def start(self, program, arguments):
        self.started = (program, arguments)

    def readAllStandardOutput(self):
        content, self.output = self.output, b""
        return FakeBytes(content)

    def readAllStandardError(self):
        content, self.errors = self.errors, b""
        return FakeBytes(content)

    def processId(self):
        return 0

    def kill(self):
        """It ends by the test's word."""

    def says(self, content):
        self.output = content
        self.slots["readyReadStandardOutput()"]()

    def ends(self, code, status=qt.QProcess.NormalExit):
        self.slots["finished(int,QProcess::ExitStatus)"](code, status)
