# shellcheck shell=bash disable=SC2034 # read by up, down and reboot
# Names and addresses of the second node. The first node's are those of the cluster's own scripts.
run=${CLUSTER_DIR:-$(dirname "${KUBECONFIG:?says nothing, and CLUSTER_DIR neither: which cluster?}")}
node="node-2"
state=$run/$node
netns=signet-$node
link=$netns               # the host's end of the wire between host and node; 15 letters at most
host_ip=10.245.0.1
node_ip=10.245.0.2
first_pods=10.244.0.0/24
first_gateway=10.244.0.1  # the API server's and DNS' address for pods, on the first node's bridge
pods=10.244.1.0/24
services=10.96.0.0/16
taint=signet.dev/second-node

say() { printf '%s %s\n' "$(date +%T)" "$*" >&2; }
kubectl() { command kubectl --kubeconfig "$run/admin.conf" --request-timeout 30s "$@"; }
cgroups() { # the node's own cgroup in each hierarchy there is: the two kubelets would fight over one /kubepods
  if [[ -f /sys/fs/cgroup/cgroup.controllers ]]; then echo "/sys/fs/cgroup/$node"; return; fi
  local hierarchy
  for hierarchy in /sys/fs/cgroup/*/; do [[ -f $hierarchy/cgroup.procs ]] && echo "$hierarchy$node"; done
}
node_pids() { # those of pods too, which have networks of their own
  ip netns pids "$netns" 2>/dev/null || true
  local cgroup
  while read -r cgroup; do # 0 would be a process that cannot be seen from here; to kill, it is ourselves
    if [[ -d $cgroup ]]; then find "$cgroup" -name cgroup.procs -exec cat {} + 2>/dev/null | grep -vx 0 || true; fi
  done < <(cgroups)
}
# Pods see each other's own addresses: the first node's network plugin would hide its pods behind the host's. What
# kube-proxy marked (0x4000) is left to it.
unmasqueraded=(POSTROUTING -o "$link" -s "$first_pods" -d "$pods" -m mark ! --mark 0x4000/0x4000 -j ACCEPT)

power_off() { # every process of the node at once, and waits until there is none: they take a moment to end
  local pids
  for _ in {1..50}; do
    mapfile -t pids < <(node_pids)
    (( ${#pids[@]} )) || return 0
    kill -KILL "${pids[@]}" 2>/dev/null
    sleep 0.2
  done
  return 1
}
unwire() { # the network with all that is in it, and the cgroups; what is not there is no failure
  while iptables -t nat -D "${unmasqueraded[@]}" 2>/dev/null; do :; done
  ip link del "$link" 2>/dev/null || true # with its routes
  umount -l "/run/netns/$netns" 2>/dev/null || true
  rm -f "/run/netns/$netns"
  for _ in {1..20}; do # just left by its last process, a cgroup may still be busy
    remove_cgroups && return 0
    sleep 0.1
  done
  say "cgroups of $node are left"
}
remove_cgroups() {
  local cgroup left=0
  while read -r cgroup; do
    [[ ! -d $cgroup ]] || find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || left=1
  done < <(cgroups)
  return "$left"
}
