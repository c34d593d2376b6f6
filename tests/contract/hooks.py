"""What schemathesis cannot know: how a device signs (protocol/src/signing.rs)."""

import base64
import hashlib
import itertools
from urllib.parse import urlsplit

import requests
import schemathesis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

COMPONENTS = '("@method" "@authority" "@path" "@query" "content-digest" "attune-request")'
SCHEME = "device_signature"


class DeviceSignature(requests.auth.AuthBase):
    """Signs a request as it is about to be sent (RFC 9421), as one device."""

    def __init__(self):
        self.key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"contract").digest())
        self.numbers = itertools.count(1)

    def __call__(self, request):
        url = urlsplit(request.url)
        body = request.body or b""
        if isinstance(body, str):
            body = body.encode()
        if not isinstance(body, bytes):
            return request
        digest = "sha-256=:%s:" % base64.b64encode(hashlib.sha256(body).digest()).decode()
        number = str(next(self.numbers))
        parameters = '%s;keyid="%s";alg="ed25519"' % (
            COMPONENTS,
            self.key.public_key().public_bytes_raw().hex(),
        )
        base = "\n".join(
            [
                '"@method": %s' % request.method,
                '"@authority": %s' % url.netloc,
                '"@path": %s' % url.path,
                '"@query": ?%s' % url.query,
                '"content-digest": %s' % digest,
                '"attune-request": %s' % number,
                '"@signature-params": %s' % parameters,
            ]
        )
        signature = base64.b64encode(self.key.sign(base.encode())).decode()
        request.headers["content-digest"] = digest
        request.headers["attune-request"] = number
        request.headers["signature-input"] = "attune=" + parameters
        request.headers["signature"] = "attune=:%s:" % signature
        return request


DEVICE = DeviceSignature()


@schemathesis.hook
def before_call(context, case, kwargs):
    security = case.operation.definition.raw.get("security", [])
    if any(SCHEME in requirement for requirement in security):
        kwargs["auth"] = DEVICE
