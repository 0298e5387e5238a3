import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { CaConfig } from "./ca-config.ts";
import { makeAuthorityText } from "./ca-in-process.ts";
import type { RunningCa } from "./ca-process.ts";
import type { LambdaFront } from "./lambda-events.ts";
import { untilOk } from "./poll.ts";
import { freePort } from "./ports.ts";
import { Program } from "./processes.ts";
import { lambdaBundle, plainEnvironment } from "./repo.ts";

const lambdaProgram = fileURLToPath(new URL("lambda-program.ts", import.meta.url));

export interface CaLambdaOptions {
  /** Folder for the deployment package and the log. */
  readonly folder: string;
  /** Goes into the deployment package. Its store is made `env:SIGNET_AUTHORITY` unless another is named. */
  readonly config: CaConfig;
  readonly front?: LambdaFront;
  /** A store of the caller's own, with what its reading needs in the environment. */
  readonly store?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** The built Lambda function, out of its deployment package, ready to sign. */
export async function startCaInLambda(options: CaLambdaOptions): Promise<RunningCa> {
  const { folder, front = { kind: "function-url" }, store = "env:SIGNET_AUTHORITY", environment = {} } = options;
  const config = { ...options.config, authority: { store } };
  const task = join(folder, "task");
  await mkdir(task, { recursive: true });
  await copyFile(lambdaBundle, join(task, "index.mjs"));
  await writeFile(join(task, "ca.jsonc"), `// The configuration of the CA.\n${JSON.stringify(config, null, 2)}\n`);
  const port = await freePort();
  const program = await Program.start({
    name: "the CA in Lambda",
    command: process.execPath,
    args: [lambdaProgram, `${port}`, JSON.stringify(front)],
    env: {
      ...plainEnvironment(),
      LAMBDA_TASK_ROOT: task,
      ...(store === "env:SIGNET_AUTHORITY" && { SIGNET_AUTHORITY: await makeAuthorityText(config.trustDomain) }),
      ...environment,
    },
    logFile: join(folder, "lambda.log"),
  });
  const url = `http://127.0.0.1:${port}`;
  await program.ready((giveUp) => untilOk("the CA in Lambda", `${url}/readyz`, giveUp));
  return {
    ...{ url, pid: program.pid },
    tail: () => program.tail(),
    stop: () => program.stop(),
  };
}
