/**
 * Istio 1.1's task "Provisioning Identity through SDS", command by command, on a real cluster. The steps build on each
 * other; what is printed is what somebody who follows them by hand sees.
 */
import { afterAll, beforeAll } from "vitest";
import { uninstall } from "./install.ts";
import { requireThrowAwayCluster } from "./kubectl.ts";
import { deleteNamespaces, makeNamespaces } from "./namespaces.ts";
import { removePolicies } from "./policies.ts";
import { shell } from "./shell.ts";
import { attacks } from "./walkthrough/attacks.ts";
import { cleanUp } from "./walkthrough/clean-up.ts";
import { installation } from "./walkthrough/installation.ts";
import { mutualTls } from "./walkthrough/mutual-tls.ts";
import { noFiles } from "./walkthrough/no-files.ts";
import { podPolicies } from "./walkthrough/pod-policies.ts";
import { restart } from "./walkthrough/restart.ts";
import { rotation } from "./walkthrough/rotation.ts";
import { socketProtection } from "./walkthrough/socket-protection.ts";

let ours = false;

beforeAll(async () => {
  await requireThrowAwayCluster();
  await makeNamespaces("foo", "bar", "mallory");
  ours = true;
});
afterAll(async () => {
  if (!ours) return;
  await shell("kubectl delete deployment malicious normal --ignore-not-found", { quiet: true });
  await deleteNamespaces("foo", "bar", "mallory");
  await removePolicies();
  await uninstall();
});

installation("a");
mutualTls("b");
noFiles("c");
socketProtection("d");
restart("e");
podPolicies("f");
attacks("g");
rotation("h");
cleanUp("i");
