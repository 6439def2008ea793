#!/bin/sh
# Runs BIRD as the router of a continent. As root it takes the addresses that Docker gives to the containers of a network as
# their way out (GATEWAYS, with prefix length), so that no container needs a route of its own; then it becomes the user
# rhumb, with the capabilities that BIRD needs and no others.
set -eu
for address in $GATEWAYS; do
  network=${address%.*}.
  link=$(ip -o -4 address show | awk -v network="$network" 'index($4, network) == 1 { print $2; exit }')
  ip address replace "$address" dev "$link"
done
ip route del default 2>/dev/null || true
capabilities=-all,+net_admin,+net_raw,+net_bind_service
exec setpriv --reuid rhumb --regid rhumb --clear-groups --inh-caps "$capabilities" --ambient-caps "$capabilities" \
  bird -f -s /run/bird/bird.ctl "$@"
