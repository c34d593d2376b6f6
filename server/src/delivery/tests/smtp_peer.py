"""A mail server for tests: prints its port, then each message it took as a line of JSON."""
import json
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such person: " + address
        if address.startswith("later@"):
            return "451 4.7.1 come back later: " + address
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        taken = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "signed_in": session.authenticated,
            "text": envelope.content.decode("ascii"),
        }
        print(json.dumps(taken), flush=True)
        return "250 OK"


def sign_in(server, session, envelope, mechanism, data):
    known = (data.login, data.password) == (b"attune", b"let me in")
    return AuthResult(success=known, handled=False)


class AnyPort(Controller):
    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


peer = AnyPort(
    Handler(), hostname="127.0.0.1", port=0, authenticator=sign_in, auth_require_tls=False
)
peer.start()
print(peer.port, flush=True)
sys.stdin.read()
peer.stop()
