import { accessSync, constants, existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { asSignetError } from "@signet/shared/errors";
import type { CsiConfig } from "../config.ts";
import { driverName } from "../csi/names.ts";
import { GrpcConnection } from "../fetch/connection.ts";
import { decode } from "../fetch/secrets.ts";
import { PluginInfoSchema, Registration } from "../gen/pluginregistration/api_pb.ts";
import type { Status } from "../status/read.ts";
import { type Finding, fail, ok, warn } from "../terminal/finding.ts";
import { reasonOf, type Section } from "./section.ts";
import { tryConnect } from "./socket.ts";

const withinMilliseconds = 2_000;

/**
 * Looks at the driver as the kubelet does. Only questions are asked: nothing is registered or published.
 * @param status of the agent that runs here, if one does
 */
export async function examineCsi(csi: CsiConfig, status: Status | undefined): Promise<Section> {
  const { endpoint, kubeletDir, socket } = csi;
  const registration = join(kubeletDir, "plugins_registry", `${driverName}-reg.sock`);
  const directories = [
    writable(join(kubeletDir, "plugins_registry"), "the kubelet looks there for drivers"),
    writable(join(kubeletDir, "pods"), "the sockets of pods are made there"),
    writable(dirname(socket), "the kubelet calls the driver there"),
  ];
  const isRunning = status !== undefined || existsSync(registration);
  return {
    title: `CSI driver ${driverName}`,
    findings: [
      ...directories,
      ...(isRunning ? [await examineDriver(socket), ...(await examineRegistration(registration, endpoint))] : []),
      ...(status === undefined ? [] : [examineRegistered(status)]),
    ],
  };
}

function writable(directory: string, why: string): Finding {
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    return ok(`${directory} is there and writable`);
  } catch (error) {
    const reason = reasonOf(error);
    const mend =
      reason === "ENOENT"
        ? `mount it into the agent, at the same path as on the node; is --kubelet-dir the kubelet's (--root-dir)? ${why}`
        : `run the agent as root, and mount it without readOnly: ${why}`;
    return fail(`${directory} cannot be used (${reason})`, mend);
  }
}

async function examineDriver(socket: string): Promise<Finding> {
  const answer = await tryConnect(socket);
  if (answer === undefined) return ok(`${socket} is served`);
  return fail(`${socket} is not served (${answer})`, "restart the agent; see its log for why it gave the socket up");
}

async function examineRegistration(path: string, endpoint: string): Promise<Finding[]> {
  const mend = "restart the agent; the kubelet asks again when the socket comes back";
  let connection: GrpcConnection;
  try {
    connection = await GrpcConnection.open(path, withinMilliseconds);
  } catch (error) {
    return [fail(`the registration socket: ${asSignetError(error, "agent-unreachable").message}`, mend)];
  }
  try {
    const call = connection.call(`/${Registration.typeName}/${Registration.method.getInfo.name}`);
    void call.send(new Uint8Array());
    call.finish();
    const answer = await call.next(AbortSignal.timeout(withinMilliseconds));
    if (!(answer instanceof Uint8Array)) return [fail("the registration socket does not say who it is", mend)];
    const info = decode(PluginInfoSchema, answer);
    if (info.name !== driverName) return [fail(`the registration socket is of the driver ${info.name}`, mend)];
    if (info.endpoint === endpoint) return [ok(`it tells the kubelet to come to ${endpoint}`)];
    return [
      warn(
        `it tells the kubelet to come to ${info.endpoint}; the settings here say ${endpoint}`,
        "restart the agent if its settings were changed; else give doctor the same --csi-endpoint",
      ),
    ];
  } catch (error) {
    return [fail(`the registration socket: ${asSignetError(error, "malformed-request").message}`, mend)];
  } finally {
    connection.close();
  }
}

function examineRegistered({ csi }: Status): Finding {
  if (csi === null) {
    return fail("the agent that runs is no CSI driver", "restart it with --csi-socket, as the settings here have it");
  }
  if (!csi.registered) {
    return fail(
      csi.reason ?? "the kubelet has not registered the driver",
      `is there a CSIDriver ${driverName}? (kubectl get csidriver) is the endpoint the path on the node? see journalctl -u kubelet`,
    );
  }
  if (csi.withoutToken > 0) {
    return warn(
      `registered, ${csi.volumes} volumes, ${csi.withoutToken} of them without a token yet`,
      "the kubelet brings one within a minute or two; else the CSIDriver lacks tokenRequests or requiresRepublish",
    );
  }
  return ok(`the kubelet has registered it; ${csi.volumes} volumes`);
}
