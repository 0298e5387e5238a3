/** The driver's name: in the CSIDriver object, in pods, and in the kubelet's records. */
export const driverName = "csi.signet.dev";

/** What a pod finds in its volume; istio-agent looks for the same name (istio: `WORKLOAD_IDENTITY_SOCKET_FILE`). */
export const socketName = "socket";
