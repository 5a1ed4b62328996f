"""A real mail server (aiosmtpd) for the tests: tells in lines of JSON on its output where it listens and what it is sent.

Arguments: the PEM files of its certificate and its private key. It takes mail after STARTTLS and a login only. Addresses
that begin with `never` are unknown to it, those that begin with `later` it takes when they are tried again.
"""

import asyncio
import json
import ssl
import sys
from email import message_from_bytes, policy

from aiosmtpd.controller import UnthreadedController
from aiosmtpd.smtp import AuthResult

ACCOUNT = (b"cdr", b"hush hush")


def tell(**what):
    print(json.dumps(what), flush=True)


class Handler:
    def __init__(self):
        self.seen = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = "250 fine"
        if address.startswith("never"):
            answer = f"550 5.1.1 <{address}>: no such user"
        elif address.startswith("later") and address not in self.seen:
            answer = f"450 4.2.0 <{address}>: come again"
        self.seen.add(address)
        tell(asked=address, answer=answer[:3])
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content, policy=policy.default)
        tell(
            sender=envelope.mail_from,
            people=envelope.rcpt_tos,
            headers={name.lower(): str(value) for name, value in mail.items()},
            type=mail.get_content_type(),
            text=mail.get_content().replace("\r\n", "\n"),
            defects=[str(defect) for defect in mail.defects],
            encrypted=session.ssl is not None,
            authenticated=bool(session.authenticated),
        )
        return "250 taken"


def authenticate(server, session, envelope, mechanism, login):
    return AuthResult(success=(login.login, login.password) == ACCOUNT)


async def serve(certificate, key):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    controller = UnthreadedController(
        Handler(),
        hostname="127.0.0.1",
        port=0,
        loop=asyncio.get_running_loop(),
        tls_context=tls,
        require_starttls=True,
        auth_required=True,
        authenticator=authenticate,
    )
    server = await controller._create_server()
    tell(port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


asyncio.run(serve(*sys.argv[1:]))
