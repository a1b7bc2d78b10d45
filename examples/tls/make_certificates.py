"""Makes an authority of your own, and certificates for a service and its clients, with openssl.

    python make_certificates.py [DIRECTORY] [--host NAME_OR_ADDRESS]... [--days N]

In DIRECTORY (default: certificates) are then ca.pem, server.pem and client.pem, each with its key, and
settings.sh, which sets Pyro5's environment variables for mutual TLS. What is there is replaced.

Keep ca.key where no program needs it. With it, anybody can make certificates that are accepted.
"""

from __future__ import annotations

import argparse
import ipaddress
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

HOSTS = ("localhost", "127.0.0.1", "::1")

EXTENSIONS = """
[req]
distinguished_name = name
prompt = no
[name]
CN = pyro_events {kind}
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""

KEY = "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"


def openssl(*arguments: str) -> None:
    """Run openssl, quietly unless it fails."""
    done = subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"openssl {' '.join(arguments)}\n{done.stderr}")


def make(directory: Path, hosts: Sequence[str] = HOSTS, days: int = 365) -> dict[str, str]:
    """Make everything; returns Pyro5's environment variables.

    hosts: names and addresses that the server's certificate is good for.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for kind in ("ca", "server", "client"):
        make_one(directory, kind, hosts, days)
    certificates = directory.resolve()
    settings = {
        "PYRO_SSL": "1",
        "PYRO_SSL_CACERTS": str(certificates / "ca.pem"),
        "PYRO_SSL_SERVERCERT": str(certificates / "server.pem"),
        "PYRO_SSL_SERVERKEY": str(certificates / "server.key"),
        "PYRO_SSL_REQUIRECLIENTCERT": "1",
        "PYRO_SSL_CLIENTCERT": str(certificates / "client.pem"),
        "PYRO_SSL_CLIENTKEY": str(certificates / "client.key"),
    }
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in settings.items()]
    (directory / "settings.sh").write_text("".join(lines))
    return settings


def make_one(directory: Path, kind: str, hosts: Sequence[str] = HOSTS, days: int = 365) -> None:
    """Make one key and its certificate: "ca", which signs itself, or "server" or "client"."""
    names = ",".join(f"{'IP' if is_address(host) else 'DNS'}:{host}" for host in hosts)
    config = directory / f"{kind}.cnf"
    config.write_text(EXTENSIONS.format(kind=kind, names=names))
    key, certificate = directory / f"{kind}.key", directory / f"{kind}.pem"
    key.unlink(missing_ok=True)
    key.touch(mode=0o600)
    common = "-config", str(config), "-keyout", str(key)
    if kind == "ca":
        openssl("req", "-x509", *KEY, *common, "-extensions", kind, "-days", "3650", "-out", str(certificate))
    else:
        request = directory / f"{kind}.csr"
        openssl("req", *KEY, *common, "-new", "-out", str(request))
        sign = "-CA", str(directory / "ca.pem"), "-CAkey", str(directory / "ca.key"), "-CAcreateserial"
        extensions = "-extfile", str(config), "-extensions", kind, "-days", str(days)
        openssl("x509", "-req", "-in", str(request), *sign, *extensions, "-out", str(certificate))
        request.unlink()
    config.unlink()


def is_address(host: str) -> bool:
    """Whether it is an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("directory", nargs="?", type=Path, default=Path("certificates"))
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        help="another name or address for the certificates; may be given several times",
    )
    parser.add_argument("--days", type=int, default=365)
    options = parser.parse_args()
    make(options.directory, [*HOSTS, *options.host], options.days)
    print(f"Certificates are in {options.directory}. Now: source {options.directory}/settings.sh")


if __name__ == "__main__":
    main()
