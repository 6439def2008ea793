#!/bin/sh
# Runs ExaBGP in the network of a balancer: first the anycast addresses, which packets to them need; then the pipes.
# VIPS: addresses with prefix length, separated by spaces.
set -eu
for vip in $VIPS; do ip address replace "$vip" dev lo; done
for pipe in exabgp.in exabgp.out; do
  [ -p "/run/exabgp/$pipe" ] || mkfifo -m 600 "/run/exabgp/$pipe"
done
# It is not root to begin with: there is nothing to drop.
export exabgp_daemon_drop=false exabgp_daemon_user=rhumb
exec exabgp --env /etc/exabgp/exabgp.env "$@"
