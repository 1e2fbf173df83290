"""A time authority (RFC 3161) of the tests' own: `openssl ts` behind a server on the loopback device."""

from __future__ import annotations

import subprocess
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SETTINGS = """
[tsa]
default_tsa = one
[one]
serial = {folder}/serial
signer_cert = {folder}/time.pem
signer_key = {folder}/time.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
"""


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(subject, key, issuer, issuer_key, *, ca, days):
    """Return a certificate whose validity began long ago, and ends in so many days."""
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name(issuer), name(subject), key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=100)).not_valid_after(now + timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


class Authority:
    """An authority with a root of its own.

    Args:
      days: until its certificate ends.
    """

    def __init__(self, folder: Path, *, days=30) -> None:
        folder.mkdir(parents=True)
        self.folder, self.root = folder, folder / "root.pem"
        (folder / "ts.cnf").write_text(SETTINGS.format(folder=folder))
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root = certificate("Test root", root_key, "Test root", root_key, ca=True, days=60)
        leaf = certificate("Test time", key, "Test root", root_key, ca=False, days=days)
        pem = serialization.Encoding.PEM
        self.root.write_bytes(root.public_bytes(pem))
        (folder / "time.pem").write_bytes(leaf.public_bytes(pem))
        form = pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (folder / "time.key").write_bytes(key.private_bytes(*form))

    def answer(self, query: bytes) -> bytes:
        (self.folder / "query").write_bytes(query)
        command = ["openssl", "ts", "-reply", "-config", "ts.cnf", "-queryfile", "query"]
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True).stdout


class Server:
    """Serves what `answer` returns: bytes, or a number for an error."""

    def __init__(self, answer) -> None:
        asked: list[tuple[str, bytes]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                asked.append((self.headers["Content-Type"], body))
                found = answer(body)
                status, data = (200, found) if isinstance(found, bytes) else (found, b"")
                self.send_response(status)
                if status in range(300, 400):
                    self.send_header("Location", f"http://127.0.0.1:{self.server.server_address[1]}/other")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST

            def log_message(self, *_told):
                pass

        self.asked = asked
        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/tsr"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_told):
        self._server.shutdown()
        self._server.server_close()
