#!/usr/bin/env python3
"""How uaio-send fails: every exit code occurs for its cause, and the message gives a remedy.

    tests/send_failure_test.py BUILD [CASE]...

Peers are openssl s_server and Python, on loopback ports chosen by the kernel; the bad certificates
are made for each run. Prints a line a case for tests/run.py.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading

import send_lab
from lab import PATIENCE, Skip, free_port, run
from send_lab import (ARGUMENTS, CERTIFICATE, CUT, DATA, NAME, NO_CONNECTION, NOT_SUPPORTED,
                      PROXY, THIS_MACHINE, TIMED_OUT, TLS_FAILED, openssl_server)


def invalid_arguments_are_refused(lab):
    for words, arguments in (
            ("missing URL", []), ("more than one URL", ["http://a", "http://b"]),
            ("unrecognized option '--none'", ["--none"]),
            ("'--proxy' requires an argument", ["--proxy"]),
            ("number of seconds", ["--timeout", "soon", "http://a"]),
            ("SCHEME://HOST:PORT", ["tcp://127.0.0.1"]), ("SCHEME://HOST:PORT", ["ftp://h:1"]),
            ("has a user or a password before its host", ["http://u:pw@127.0.0.1:1"]),
            ("has a user or a password before its host", ["tcp://token@127.0.0.1:1"]),
            ("--connect-to is", ["--connect-to", "wrong", lab.plain]),
            ("must be http, https", ["-x", "foo://h:1", lab.plain])):
        lab.fails(ARGUMENTS, words, *arguments)
    if lab.has_tls:
        lab.fails(ARGUMENTS, "none.pem", lab.secure, "--cacert", "none.pem")
        lab.fails(ARGUMENTS, "require each other", lab.secure, "--cert", lab.chain)
    out, messages, code = lab.send("--help")
    assert code == 0 and messages == "", messages
    assert b"--quit-after" in out and b"Exit codes" in out, out


def unknown_names_and_refused_connects_are_reported(lab):
    lab.fails(NAME, "no address", "tcp://no-such-name.invalid:80")
    lab.fails(NAME, "name of the proxy", lab.plain, "-x", "http://no-such-name.invalid:80")
    lab.fails(NO_CONNECTION, "No server listens", f"tcp://127.0.0.1:{free_port()}")
    lab.fails(NO_CONNECTION, "No server listens", lab.plain, "-x",
              f"http://127.0.0.1:{free_port()}")


def a_refused_connect_names_the_address(lab):
    """The last address tried, of the target or of the proxy."""
    port = free_port()
    lab.fails(NO_CONNECTION, f"://h.test:{port} at 127.0.0.3:{port}: Connection refused",
              f"tcp://h.test:{port}", "--resolve", f"h.test:{port}:127.0.0.2,127.0.0.3")
    for way in ("-x", "--pre-proxy"):
        more = ("-x", "http://127.0.0.1:1") if way == "--pre-proxy" else ()
        scheme = "socks5" if way == "--pre-proxy" else "http"
        place = f"{lab.plain} by the proxy at 127.0.0.1:{port}"
        lab.fails(NO_CONNECTION, f"{place}: Connection refused", lab.plain, way,
                  f"{scheme}://127.0.0.1:{port}", *more)


def a_proxy_that_offers_other_authentication_has_its_own_error(lab):
    with silent_server(b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Digest realm=r, nonce=n\r\n"
                       b"Content-Length: 0\r\n\r\n") as port:
        lab.fails(PROXY, "offers only Digest and --proxy-auth is basic", lab.plain, "-x",
                  f"http://user:password@127.0.0.1:{port}")


def silent_peers_time_out(lab):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        lab.fails(TIMED_OUT, "--timeout", lab.plain, "-x", f"http://127.0.0.1:{port}", "--timeout",
                  "0.2")
        lab.fails(TIMED_OUT, "timed out", f"tcp://127.0.0.1:{port}", "--max-time", "0.2")
        if lab.has_tls:
            lab.fails(TIMED_OUT, "no TLS", f"tls://localhost:{port}", "--timeout", "0.2",
                      "--cacert", lab.authority)


@contextlib.contextmanager
def silent_server(*greetings):
    """Accepts, and answers with these greetings, one per receive, and then nothing; yields its
    port."""
    def serve(listener):
        peers = []
        with contextlib.suppress(OSError):
            while True:
                peers.append(listener.accept()[0])
                for greeting in greetings:
                    peers[-1].recv(1000)
                    peers[-1].sendall(greeting)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)


def max_time_bounds_every_phase(lab):
    limit = ("-m", "0.3")
    with silent_server() as port:
        silent = f"127.0.0.1:{port}"
        for proxy in ("http", "socks4", "socks5h"):
            lab.fails(TIMED_OUT, "no tunnel through the proxy", lab.plain, "-x",
                      f"{proxy}://{silent}", *limit)
        lab.fails(TIMED_OUT, "connection lost", f"tcp://{silent}", *limit)
        lab.fails(TIMED_OUT, "connection lost", f"tcp://{silent}", *limit, data=DATA * 50)
        if lab.has_tls:
            lab.fails(TIMED_OUT, "no TLS", f"tls://{silent}", *limit)
            lab.fails(TIMED_OUT, "--max-time", lab.plain, "-x", f"https://{silent}", *limit)
    with silent_server(b"\5\0") as port:
        lab.fails(TIMED_OUT, "no tunnel through the proxy", lab.plain, "-x",
                  f"socks5h://127.0.0.1:{port}", *limit)
    if lab.has_tls:
        with silent_server(b"HTTP/1.1 200 OK\r\n\r\n") as port:
            lab.fails(TIMED_OUT, "no TLS", lab.secure, "-x", f"http://127.0.0.1:{port}", *limit)
    lab.fails(TIMED_OUT, "timed out", "tcp://localhost:1", "-m", "0")


def max_time_bounds_an_output_that_blocks(lab):
    """Also a blocked standard error, and the wait while a server leaves the close to this side."""
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writes, b"x" * 4096)
    os.set_blocking(writes, True)
    with silent_server() as port:
        done = subprocess.run(lab.command(f"tcp://127.0.0.1:{port}", "-m", "0.2"), check=False,
                              stdin=subprocess.DEVNULL, stderr=writes, timeout=60)
        assert done.returncode == TIMED_OUT, done
        done = subprocess.run(lab.command(f"tcp://127.0.0.1:{port}", "-m", "0.2", "-q", "0"),
                              check=False, stdin=subprocess.DEVNULL, stderr=writes, timeout=60)
        assert done.returncode == 0, done
    done = subprocess.run(lab.command(lab.plain, "-m", "0.5"), check=False, input=DATA,
                          stdout=writes, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == TIMED_OUT, done
    os.close(reads)
    os.close(writes)


def the_password_of_the_target_is_not_printed(lab):
    for code, target in ((ARGUMENTS, "foo://hank:secret@h:1"), (ARGUMENTS, "user:secret@h"),
                         (ARGUMENTS, "http://hank:secret@127.0.0.1/secret@x")):
        messages = lab.send(target, data=b"")[1]
        assert ":secret@" not in messages and "hank" not in messages, messages
        lab.fails(code, "", target)
    messages = lab.send("http://a", "http://hank:secret@b")[1]
    assert "secret" not in messages, messages
    messages = lab.send(lab.plain, "--prxy=http://user:secret@b")[1]
    assert "secret" not in messages and "--prxy" in messages, messages


def bad_certificate(lab, words, *more, server=(), issuer=None, name="localhost",
                    kind=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
    """The server is openssl's, with a certificate made with these options."""
    chain, key = lab.folder / "bad.pem", lab.folder / "bad.key"
    if issuer is None:
        issuer = ("-CA", lab.authority, "-CAkey", lab.folder / "authority.key")
    run("openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-subj", "/CN=bad", "-addext",
        f"subjectAltName=DNS:{name}", "-addext", "basicConstraints=CA:FALSE", "-days", "2",
        "-keyout", key, "-out", chain, *issuer, *more)
    with openssl_server(lab, "-cert", chain, "-key", key, *server) as peer:
        lab.fails(CERTIFICATE, words, f"tls://localhost:{peer.port}", "--cacert", lab.authority)
    with openssl_server(lab, "-cert", chain, "-key", key, *server) as peer:
        out, messages, code = lab.send(f"tls://localhost:{peer.port}", "-q", "0", "-k", data=b"")
        assert code == 0, f"--insecure ended with {code}: {messages}"


def invalid_certificates_are_refused(lab):
    lab.needs_tls()
    bad_certificate(lab, "certificate is for another name", name="other.test")
    bad_certificate(lab, "certificate for another purpose", "-addext",
                    "extendedKeyUsage=clientAuth")
    bad_certificate(lab, "self-signed certificate", issuer=())
    bad_certificate(lab, "weak certificate", kind=("rsa:1024",),
                    server=("-cipher", "DEFAULT:@SECLEVEL=0"))


def a_certificate_of_an_unknown_authority_is_refused(lab):
    lab.needs_tls()
    lab.fails(CERTIFICATE, "give the file with the authority's certificate by --cacert", lab.secure)
    lab.echoes(lab.secure, "--insecure")


def an_expired_certificate_is_refused(lab):
    lab.needs_tls()
    key, request, chain = (lab.folder / name for name in ("old.key", "old.csr", "old.pem"))
    run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", request)
    lab.write("index", "")
    config = lab.write("ca.cnf", f"""
[ca]
default_ca = it
[it]
database = {lab.folder}/index
new_certs_dir = {lab.folder}
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
""")
    for begin, end, words in (("20200101000000Z", "20200201000000Z", "certificate expired"),
                              ("20990101000000Z", "20990201000000Z", "not yet valid")):
        run("openssl", "ca", "-batch", "-notext", "-config", config, "-cert", lab.authority,
            "-keyfile", lab.folder / "authority.key", "-in", request, "-out", chain, "-startdate",
            begin, "-enddate", end)
        lab.write("index", "")
        with openssl_server(lab, "-cert", chain, "-key", key) as peer:
            lab.fails(CERTIFICATE, words, f"tls://localhost:{peer.port}", "--cacert", lab.authority)


def failed_handshakes_are_reported(lab):
    lab.needs_tls()
    trust = ("--cacert", lab.authority)
    lab.fails(TLS_FAILED, "not TLS", f"tls://127.0.0.1:{lab.echo}", *trust)
    with openssl_server(lab, "-tls1_2") as peer:
        lab.fails(TLS_FAILED, "--tls-min", f"tls://localhost:{peer.port}", *trust, "--tls-min",
                  "1.3")
    for version in ("-tls1_2", "-tls1_3"):
        with openssl_server(lab, version, "-Verify", "1", "-verify_return_error", "-CAfile",
                            lab.authority) as peer:
            target = f"tls://localhost:{peer.port}"
            lab.fails(TLS_FAILED, "", target, *trust)
        with openssl_server(lab, version, "-Verify", "1", "-verify_return_error", "-CAfile",
                            lab.authority) as peer:
            target = f"tls://localhost:{peer.port}"
            out, messages, code = lab.send(target, *trust, "-q", "0", "--cert", lab.chain, "--key",
                                           lab.key, data=b"")
            assert code == 0, messages


def interrupted_connections_are_reported(lab):
    """Without the closing alert, by a reset, and before all input was sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve(end):
            peer = listener.accept()[0]
            with peer if end == "reset" else lab.tls.wrap_socket(peer, server_side=True) as peer:
                peer.sendall(b"half of")
                if end == "reset":  # a close with unread bytes resets
                    assert peer.recv(1)
                else:
                    peer.shutdown(socket.SHUT_RDWR)

        kinds = ["reset", "cut"] if lab.has_tls else ["reset"]
        for end in kinds:
            thread = threading.Thread(target=serve, args=(end,), daemon=True)
            thread.start()
            scheme = "tcp" if end == "reset" else "tls"
            more = () if end == "reset" else ("--cacert", lab.authority)
            words = "closed or reset" if end == "reset" else "without the close_notify of TLS"
            lab.fails(CUT, words, f"{scheme}://localhost:{port}", *more, "-4",
                      data=DATA * 20 if end == "reset" else b"")
            thread.join(PATIENCE)


def a_failed_write_to_standard_output_is_reported(lab):
    out = os.open("/dev/full", os.O_WRONLY)
    done = subprocess.run(lab.command(lab.plain), input=DATA, stdout=out, stderr=subprocess.PIPE,
                          check=False, timeout=60)
    os.close(out)
    assert done.returncode == THIS_MACHINE and b"standard output: No space" in done.stderr, done
    done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *lab.command(lab.plain)],
                          input=DATA, stderr=subprocess.PIPE, check=False, timeout=60)
    assert done.returncode == THIS_MACHINE and b"standard output: Bad" in done.stderr, done


def signals_end_the_program(lab):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        for connected, asked in ((True, signal.SIGINT), (False, signal.SIGINT),
                                 (True, signal.SIGTERM)):
            way = () if connected else ("-x", f"http://127.0.0.1:{port}")
            with subprocess.Popen(lab.command(f"tcp://127.0.0.1:{port}", *way),
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
                peer = listener.accept()[0]
                if connected:
                    process.stdin.write(b"begun")
                    process.stdin.flush()
                assert peer.recv(100)
                process.send_signal(asked)
                assert process.wait(PATIENCE) == 128 + asked
                peer.close()


def a_build_without_tls_refuses_https(lab):
    if lab.has_tls:
        raise Skip("the build option tls is on")
    lab.fails(NOT_SUPPORTED, "-Dtls=enabled", f"https://127.0.0.1:{lab.echo}")


CASES = [
    (invalid_arguments_are_refused, sys.executable),
    (unknown_names_and_refused_connects_are_reported, sys.executable),
    (a_refused_connect_names_the_address, sys.executable),
    (a_proxy_that_offers_other_authentication_has_its_own_error, sys.executable),
    (silent_peers_time_out, sys.executable), (max_time_bounds_every_phase, sys.executable),
    (max_time_bounds_an_output_that_blocks, sys.executable),
    (the_password_of_the_target_is_not_printed, sys.executable),
    (invalid_certificates_are_refused, "openssl"),
    (a_certificate_of_an_unknown_authority_is_refused, "openssl"),
    (an_expired_certificate_is_refused, "openssl"), (failed_handshakes_are_reported, "openssl"),
    (interrupted_connections_are_reported, sys.executable),
    (a_failed_write_to_standard_output_is_reported, sys.executable),
    (signals_end_the_program, sys.executable), (a_build_without_tls_refuses_https, sys.executable),
]

if __name__ == "__main__":
    sys.exit(send_lab.main("send failure", CASES, sys.argv[1:]))
