#!/bin/sh
# Runs a test program on Debian's kernel, in qemu without hardware virtualization: the kernel of
# this machine may have no TLS. `./dev test --kernel-tls` calls it.
#
#   tools/kernel_tls.sh PROGRAM [ARGUMENT]...
#
# The virtual machine has a busybox, the TLS modules, the program and its libraries in memory, no
# disk and no network but loopback; UAIO_TEST_OFFLOAD is set there, so that the tests request kernel
# TLS. The exit status is the program's; 124 if it took longer than UAIO_MACHINE_SECONDS (500).
# Removes all its files.
set -eu

seconds=${UAIO_MACHINE_SECONDS:-500}
megabytes=1536

fail() {
    echo "kernel_tls: $*" >&2
    exit 1
}

[ $# -ge 1 ] || fail "which program?"
program=$1
shift
[ -x "$program" ] || fail "there is no program $program"

kernel=
for each in /boot/vmlinuz-*-amd64; do
    [ ! -r "$each" ] || kernel=$each
done
[ -n "$kernel" ] || fail "no kernel of Debian in /boot (linux-image-amd64)"
version=${kernel#/boot/vmlinuz-}

folder=$(mktemp -d)
qemu=
# shellcheck disable=SC2317
leave() {
    [ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true
    rm -rf "$folder"
}
trap leave EXIT
trap 'exit 1' INT TERM HUP

# ---- the files of the machine ----

root=$folder/root
mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/modules" "$root/etc"
cp "$(command -v busybox)" "$root/bin/"
strip -o "$root/program" "$program"
cp_library() {
    mkdir -p "$root$(dirname "$1")"
    cp -L "$1" "$root$1"
}
ldd "$program" | grep -o '/[^ ]*' | while read -r library; do cp_library "$library"; done
[ ! -r /etc/ssl/openssl.cnf ] || cp_library "$(readlink -f /etc/ssl/openssl.cnf)"

# Each module after those that it depends on.
PATH=$PATH:/sbin:/usr/sbin
number=10
modules="gcm ctr ghash-generic aesni-intel chacha20poly1305 chacha_generic poly1305_generic tls"
for module in $modules; do
    for path in $(modprobe -S "$version" -D "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'); do
        [ ! -e "$folder/has-${path##*/}" ] || continue
        : >"$folder/has-${path##*/}"
        cp "$path" "$root/modules/$number-${path##*/}"
        number=$((number + 1))
    done
done

{
    cat <<'END'
#!/bin/busybox sh
export PATH=/bin HOME=/tmp UAIO_TEST_OFFLOAD=1
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
ln -s /proc/self/fd /dev/fd
ip link set lo up
for module in /modules/*; do insmod $module; done
echo "machine: $(uname -r), tcp has $(cat /proc/sys/net/ipv4/tcp_available_ulp)"
cd /tmp
END
    printf '/program'
    for argument; do
        printf " '%s'" "$(printf %s "$argument" | sed "s/'/'\\\\''/g")"
    done
    cat <<'END'

echo "machine: exit status $?"
grep TlsTx /proc/net/tls_stat | sed "s/^/machine: /"
echo "machine: over"
poweroff -f
END
} >"$root/init"
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$folder/initrd"

# ---- the run ----

timeout --signal=KILL "$seconds" qemu-system-x86_64 -accel tcg -cpu max -smp 2 -m "$megabytes" \
    -kernel "$kernel" -initrd "$folder/initrd" -display none -no-reboot -nodefaults -serial stdio \
    -append "console=ttyS0 quiet panic=-1 random.trust_cpu=on" </dev/null >"$folder/output" 2>&1 &
qemu=$!
tail -f --pid="$qemu" "$folder/output" | tr -d '\r'
wait "$qemu" || true
qemu=
grep -q 'machine: over' "$folder/output" || {
    echo "kernel_tls: the machine did not come to its end within $seconds s" >&2
    exit 124
}
exit "$(tr -d '\r' <"$folder/output" | sed -n 's/.*machine: exit status //p')"
