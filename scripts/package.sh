#!/usr/bin/env bash
# Packs Hostler as a Debian package and as a tarball with the same files below /usr: the program,
# the systemd units, the user, and example configurations.
#
#   scripts/package.sh dist                                   builds first
#   PACKAGE_BIN=target/debug/hostler scripts/package.sh dist  packs that binary
#
# Nothing is enabled or started: which of the three units a machine runs is its operator's choice.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

out="${1:-$target/package}"
binary="${PACKAGE_BIN:-$target/debug/hostler}"
for tool in dpkg-deb dpkg-shlibdeps strip; do
    command -v "$tool" >/dev/null || { echo "package.sh needs $tool (apt install dpkg-dev binutils)" >&2; exit 1; }
done
[ -f "$binary" ] || { echo "there is no binary at $binary; run \`make build\`" >&2; exit 1; }

version="$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)"
architecture="$(dpkg --print-architecture)"
name="hostler_${version}_${architecture}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
root="$work/$name"

mkdir -p "$root/usr/bin"
strip -o "$root/usr/bin/hostler" "$binary"
chmod 755 "$root/usr/bin/hostler"
for unit in deploy/systemd/*.service; do
    install -D -m 644 "$unit" "$root/usr/lib/systemd/system/$(basename "$unit")"
done
sed -i 's|/usr/local/bin/|/usr/bin/|g' "$root"/usr/lib/systemd/system/*.service
install -D -m 644 deploy/systemd/hostler.sysusers "$root/usr/lib/sysusers.d/hostler.conf"
install -D -m 644 -t "$root/usr/share/doc/hostler/examples" config/hostler.toml config/cluster/*.toml
install -m 644 -t "$root/usr/share/doc/hostler" docs/*.md CHANGELOG.md
install -m 644 LICENSE "$root/usr/share/doc/hostler/copyright"

mkdir -p "$out"
tar --create --xz --owner=0 --group=0 --file "$out/$name.tar.xz" --directory "$work" "$name"

# dpkg-shlibdeps reads debian/control of the folder it runs in.
mkdir "$work/debian"
printf 'Source: hostler\n\nPackage: hostler\nArchitecture: any\n' >"$work/debian/control"
depends="$(cd "$work" && dpkg-shlibdeps -O "$root/usr/bin/hostler" | sed -n 's/^shlibs:Depends=//p')"
[ -n "$depends" ] || { echo "dpkg-shlibdeps named no libraries" >&2; exit 1; }

mkdir "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<CONTROL
Package: hostler
Version: $version
Architecture: $architecture
Maintainer: Hostler maintainers <https://github.com/hostler/hostler>
Depends: $depends
Recommends: systemd
Section: net
Priority: optional
Homepage: https://github.com/hostler/hostler
Description: serving cluster for language models
 Gateway, router, scheduler and workers in one program, with an API like OpenAI's.
CONTROL
cat >"$root/DEBIAN/postinst" <<'POSTINST'
#!/bin/sh
set -e
if command -v systemd-sysusers >/dev/null; then systemd-sysusers hostler.conf; fi
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
POSTINST
chmod 755 "$root/DEBIAN/postinst"
dpkg-deb --root-owner-group -Zxz --build "$root" "$out/$name.deb" >/dev/null
echo "$out/$name.deb"
echo "$out/$name.tar.xz"
