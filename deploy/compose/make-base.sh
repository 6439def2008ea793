#!/usr/bin/env bash
# Makes what a Debian image of a registry is, where none can be reached: writes a tar archive of it to standard output.
#
#   make-base.sh FOLDER | docker import - rhumb-base:bookworm
#
# FOLDER is made by debootstrap unless it is there. apt inside asks whom apt here asks; where this machine trusts authorities
# of its own (NODE_EXTRA_CA_CERTS), so do programs in the image, at /etc/ssl/host-authorities.pem. Needs root.
set -euo pipefail
folder=$1
suite=bookworm
mirror=${RHUMB_MIRROR:-$(apt-cache policy | sed -n "s|^ *[0-9]* \(https\{0,1\}://[^ ]*\) $suite/main .*|\1|p" | head -1)}
if [ ! -e "$folder/done" ]; then
  rm -rf "$folder"
  debootstrap --variant=minbase --include=ca-certificates "$suite" "$folder/root" "${mirror:-http://deb.debian.org/debian}" >&2
  root=$folder/root
  cp /etc/apt/sources.list.d/debian.sources "$root/etc/apt/sources.list.d/" 2>/dev/null && rm -f "$root/etc/apt/sources.list"
  # As in images of a registry: packages that were installed leave no archive behind.
  cat >"$root/etc/apt/apt.conf.d/docker-clean" <<'CONF'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::Languages "none";
CONF
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*.log
  [ -z "${NODE_EXTRA_CA_CERTS:-}" ] || cp "$NODE_EXTRA_CA_CERTS" "$root/etc/ssl/host-authorities.pem"
  touch "$folder/done"
fi
tar -C "$folder/root" -c .
