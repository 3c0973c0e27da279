#!/usr/bin/env python3
"""Real proxies between tests/programs/dial_echo and a server that greets and echoes.

    tests/proxy_interop_test.py BUILD

Proxies from Debian's packages, on loopback ports chosen by the kernel, with secrets made for this
run. Prints a line a case for tests/run.py; a program that is not installed is a skip.
"""

import subprocess
import sys
from pathlib import Path

import proxy_lab
from lab import free_port, run_cases


class Lab(proxy_lab.Lab):
    """The proxies, and dial_echo."""

    def dial(self, *options, target=None):
        """The output of dial_echo."""
        target = target or f"tcp://127.0.0.1:{self.echo}"
        done = subprocess.run([str(self.build / "tests" / "dial_echo"), target, *options],
                              capture_output=True, text=True, timeout=60, check=False)
        return (done.stdout + done.stderr).strip()

    def echoes(self, *options, target=None):
        output = self.dial(*options, target=target)
        assert output.startswith("ok "), f"{options}: {output}"
        if self.has_tls and not target:
            target = f"tls://127.0.0.1:{self.tls_echo}"
            inside = self.dial(*options, f"ca={self.authority}", target=target)
            assert inside.startswith("ok "), f"{options}, inside TLS: {inside}"
        return output

    def fails(self, wanted, *options, **more):
        output = self.dial(*options, **more)
        assert output.startswith(f"error {wanted}:"), f"{options}: {output}"


# Codes of ProxyErrc and of Errc, as in <uaio/proxy.h> and <uaio/error.h>.
CREDENTIALS_REFUSED = "proxy 8"
OTHER_AUTHENTICATION = "proxy 25"
AUTHENTICATION_REQUIRED = "proxy 7"
CONNECTION_REFUSED = "proxy 17"
REQUEST_REJECTED = "proxy 22"
PROXY_REFUSED = "uaio 14"


def no_proxy_at_all(lab):
    lab.echoes("proxy=")
    lab.echoes("proxy=", target=f"tcp://localhost:{lab.echo}")


def tinyproxy(lab):
    port = proxy_lab.start_tinyproxy(lab)
    output = lab.echoes(f"proxy=http://{lab.login}127.0.0.1:{port}")
    assert "status=200" in output, output
    lab.fails(AUTHENTICATION_REQUIRED, f"proxy=http://127.0.0.1:{port}")
    # tinyproxy answers 401 to wrong credentials.
    lab.fails(PROXY_REFUSED, f"proxy=http://{lab.user}:wrong@127.0.0.1:{port}")
    lab.fails(PROXY_REFUSED, f"proxy=http://{lab.login}127.0.0.1:{port}",
              target=f"tcp://127.0.0.1:{free_port()}")
    lab.http_proxy = f"http://{lab.login}127.0.0.1:{port}"
    lab.http_port = port


def stunnel_around_tinyproxy(lab):
    lab.needs_tls()
    if not hasattr(lab, "http_port"):
        raise proxy_lab.Skip("tinyproxy is not installed")
    port = proxy_lab.start_stunnel(lab, lab.http_port)
    proxy = f"proxy=https://{lab.login}localhost:{port}"
    output = lab.echoes(proxy, f"ca={lab.authority}")  # and TLS in TLS
    assert "status=200" in output, output
    lab.fails("tls 4", proxy)
    lab.fails(AUTHENTICATION_REQUIRED, f"proxy=https://localhost:{port}", f"ca={lab.authority}")


def stunnel_in_front_of_the_server(lab):
    lab.needs_tls()
    port = proxy_lab.start_stunnel(lab, lab.echo)
    lab.echoes("proxy=", f"ca={lab.authority}", target=f"tls://localhost:{port}")
    lab.fails("tls 4", "proxy=", target=f"tls://localhost:{port}")


def squid_with_basic(lab):
    port = proxy_lab.start_squid_with_basic(lab)
    proxy = f"proxy=http://{lab.login}127.0.0.1:{port}"
    lab.echoes(proxy)
    output = lab.echoes(proxy, "authentication=any")
    assert "status=200" in output, output
    lab.fails(CREDENTIALS_REFUSED, f"proxy=http://{lab.user}:wrong@127.0.0.1:{port}")
    lab.fails(CREDENTIALS_REFUSED, f"proxy=http://{lab.user}:wrong@127.0.0.1:{port}",
              "authentication=any")
    lab.fails(AUTHENTICATION_REQUIRED, f"proxy=http://127.0.0.1:{port}")
    lab.fails(PROXY_REFUSED, proxy, target=f"tcp://127.0.0.1:{free_port()}")


def squid_with_digest(lab):
    lab.needs_tls()
    port = proxy_lab.start_squid_with_digest(lab)
    proxy = f"proxy=http://{lab.login}127.0.0.1:{port}"
    for kind in ("digest", "any"):
        lab.echoes(proxy, f"authentication={kind}")
        lab.fails(CREDENTIALS_REFUSED, f"proxy=http://{lab.user}:wrong@127.0.0.1:{port}",
                  f"authentication={kind}")
    lab.fails(OTHER_AUTHENTICATION, proxy)  # Basic, which the proxy does not offer


def squid_inside_tls(lab):
    lab.needs_tls()
    port = proxy_lab.start_squid_inside_tls(lab)
    proxy = f"proxy=https://localhost:{port}"
    lab.echoes(proxy, f"ca={lab.authority}")  # and TLS in TLS
    lab.fails("tls 4", proxy)
    lab.echoes(proxy, "verify=off")
    lab.fails(PROXY_REFUSED, proxy, f"ca={lab.authority}", target=f"tcp://127.0.0.1:{free_port()}")


def microsocks(lab):
    port = proxy_lab.start_microsocks(lab)
    for kind in ("socks5", "socks5h"):
        lab.echoes(f"proxy={kind}://127.0.0.1:{port}")
        lab.echoes(f"proxy={kind}://127.0.0.1:{port}", target=f"tcp://localhost:{lab.echo}",
                   *(["resolve=localhost:%d:127.0.0.1" % lab.echo] if kind == "socks5" else []))
    lab.fails(CONNECTION_REFUSED, f"proxy=socks5h://127.0.0.1:{port}",
              target=f"tcp://127.0.0.1:{free_port()}")
    lab.socks_proxy = f"socks5h://127.0.0.1:{port}"
    if hasattr(lab, "http_proxy"):  # a pre-proxy, and then a real HTTP proxy
        lab.echoes(f"proxy={lab.http_proxy}", f"pre_proxy={lab.socks_proxy}")


def microsocks_with_password(lab):
    port = proxy_lab.start_microsocks(lab, "-u", lab.user, "-P", lab.password)
    lab.echoes(f"proxy=socks5h://{lab.login}127.0.0.1:{port}")
    lab.fails(CREDENTIALS_REFUSED, f"proxy=socks5h://{lab.user}:wrong@127.0.0.1:{port}")
    lab.fails(AUTHENTICATION_REQUIRED, f"proxy=socks5h://127.0.0.1:{port}")


def dante(lab):
    port = proxy_lab.start_dante(lab)
    for kind in ("socks4", "socks5", "socks5h"):
        lab.echoes(f"proxy={kind}://127.0.0.1:{port}")
    # The server does not support 4a.
    lab.fails(REQUEST_REJECTED, f"proxy=socks4a://127.0.0.1:{port}",
              target=f"tcp://localhost:{lab.echo}")


def ssh_dynamic_forwarding(lab):
    port = proxy_lab.start_ssh_forwarding(lab)
    for kind in ("socks4", "socks4a", "socks5", "socks5h"):
        lab.echoes(f"proxy={kind}://127.0.0.1:{port}")
    for kind in ("socks4a", "socks5h"):
        lab.echoes(f"proxy={kind}://127.0.0.1:{port}", target=f"tcp://localhost:{lab.echo}")


def haproxy_accepts_the_proxy_header(lab):
    port = proxy_lab.start_haproxy(lab, "accept-proxy", lab.echo)
    target = f"tcp://127.0.0.1:{port}"
    for version in ("v1", "v2"):
        lab.echoes("proxy=", f"header={version}", target=target)
        if hasattr(lab, "socks_proxy"):
            lab.echoes(f"proxy={lab.socks_proxy}", f"header={version}", target=target)
    output = lab.dial("proxy=", target=target)
    assert output.startswith("error uaio"), output


CASES = [
    (no_proxy_at_all, sys.executable), (tinyproxy, "tinyproxy"),
    (stunnel_around_tinyproxy, "stunnel"), (stunnel_in_front_of_the_server, "stunnel"),
    (squid_with_basic, "squid"), (squid_with_digest, "squid"), (squid_inside_tls, "squid"),
    (microsocks, "microsocks"), (microsocks_with_password, "microsocks"), (dante, "danted"),
    (ssh_dynamic_forwarding, "sshd"), (haproxy_accepts_the_proxy_header, "haproxy"),
]


def main():
    build = Path(sys.argv[1]).resolve()
    return run_cases("proxy interop", CASES, lambda folder, stack: Lab(build, folder, stack))


if __name__ == "__main__":
    sys.exit(main())
