#!/bin/sh
# Runs ExaBGP in the network of a balancer: as root, with CAP_NET_ADMIN, it gives loopback the anycast addresses, which
# packets to them need; then it becomes the user rhumb without any capability, and makes the pipes.
# VIPS: addresses with prefix length, separated by spaces.
set -eu
if [ "$(id -u)" = 0 ]; then
  for vip in $VIPS; do ip address replace "$vip" dev lo; done
  exec setpriv --reuid rhumb --regid rhumb --clear-groups "$0" "$@"
fi
for pipe in exabgp.in exabgp.out; do
  [ -p "/run/exabgp/$pipe" ] || mkfifo -m 600 "/run/exabgp/$pipe"
done
export exabgp_daemon_drop=false exabgp_daemon_user=rhumb
exec exabgp --env /etc/exabgp/exabgp.env "$@"
