# shellcheck shell=bash disable=SC2154 # what common.sh and its user know
# How the second node is started, for the first time by `up` and on the same disks by `reboot`. After common.sh.

wait_for() { # SECONDS WHAT COMMAND...
  local left=$(( $1 * 5 )) what=$2; shift 2
  until "$@" >/dev/null 2>&1; do
    if (( left-- <= 0 )) || ! kill -0 "$(cat "$state/init.pid")" 2>/dev/null; then
      say "no $what; see the ends of $state/*.log:"; tail -n 5 "$state"/*.log >&2; exit 1
    fi
    sleep 0.2
  done
}
inside() { nsenter -t "$(cat "$state/init.pid")" --mount --net "$@"; }

wire() { # gives the node a network, and a cgroup of its own
  say "wiring $node"
  local target file cgroup first_ip
  # Not `ip netns add`: it mounts /run/netns over itself, and the first node could not remove the pods' it has there.
  mkdir -p /run/netns
  touch "/run/netns/$netns"
  unshare --net="/run/netns/$netns" true
  ip link add "$link" type veth peer name eth0 netns "$netns"
  ip addr add "$host_ip/30" dev "$link"
  ip link set "$link" up
  ip -n "$netns" link set lo up
  ip -n "$netns" addr add "$node_ip/30" dev eth0
  ip -n "$netns" link set eth0 up
  if [[ $(ip -o addr show dev cni0 2>/dev/null) != *" $first_gateway/"* ]]; then # made by the first pod; the node must reach the API server there
    ip link show cni0 >/dev/null 2>&1 || ip link add cni0 type bridge
    ip addr add "$first_gateway/24" dev cni0
    ip link set cni0 up
  fi
  ip route add "$pods" via "$node_ip"
  first_ip=$(kubectl get nodes -o jsonpath='{.items[0].status.addresses[?(@.type=="InternalIP")].address}')
  for target in "$first_pods" "$services" "$first_ip"; do ip -n "$netns" route add "$target" via "$host_ip"; done
  nsenter --net="/run/netns/$netns" sysctl -qw net.ipv4.ip_forward=1
  iptables -t nat -I "${unmasqueraded[@]}"
  while read -r cgroup; do
    mkdir -p "$cgroup"
    for file in cpuset.cpus cpuset.mems; do # empty ones take no process (cgroup v1)
      if [[ $cgroup == */cpuset/* ]]; then cat "$(dirname "$cgroup")/$file" >"$cgroup/$file"; fi
    done
  done < <(cgroups)
}

find_kube() { # the second node is the same program as the first one
  kube=$(readlink "/proc/$(cat "$run/kubelet.pid")/exe") && return
  say "the kubelet of the first node does not run: start the cluster of $run first"; exit 1
}
start() { # process 1 of the node, which starts the rest
  say "starting $node"
  setsid nsenter --net="/run/netns/$netns" unshare --mount --pid --fork --kill-child --mount-proc \
    "$here/init" "$run" "$state" "$kube" "$node" "$node_ip" "$taint" >"$state/init.log" 2>&1 </dev/null &
  echo $! >"$state/init.pid"
}

wait_ready() { # until the kubelet has said so that was started last: the node may well look Ready from before
  local boot # see init
  boot=$(inside cat /proc/sys/kernel/random/boot_id)
  wait_for 60 "$node" kubectl get node "$node"
  wait_for 90 "Ready $node" sh -c "kubectl --kubeconfig $run/admin.conf get node $node \
    -o jsonpath='{.status.nodeInfo.bootID} {.status.conditions[?(@.type==\"Ready\")].status}' | grep -q '^$boot True$'"
}
