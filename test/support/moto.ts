import { untilOk } from "./poll.ts";
import { freePort } from "./ports.ts";
import { Program } from "./processes.ts";
import { pypiProgram } from "./pypi-program.ts";

/** AWS as moto plays it, on this machine. */
export interface Moto {
  readonly url: string;
  /** An operation as the account's owner: of IAM by form, of Secrets Manager by JSON. Nothing is checked. */
  call(service: "iam" | "secretsmanager", operation: string, input: Readonly<Record<string, unknown>>): Promise<string>;
  /** From now on signatures and IAM policies count. */
  enforce(): Promise<void>;
  stop(): Promise<void>;
}

export const motoRegion = "eu-central-1";

/** Starts moto's server. @param logFolder folder for its log */
export async function startMoto(logFolder: string): Promise<Moto> {
  const { command, args } = await pypiProgram("moto");
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  const program = await Program.start({
    name: "moto",
    command,
    args: [...args, "-H", "127.0.0.1", "-p", `${port}`],
    env: process.env,
    logFile: `${logFolder}/moto.log`,
  });
  await program.ready((giveUp) => untilOk("moto", `${url}moto-api/`, giveUp));
  return {
    url,
    async call(service, operation, input) {
      const scope = `owner/20261125/${service === "iam" ? "us-east-1" : motoRegion}/${service}/aws4_request`;
      const authorization = `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0`;
      const form = new URLSearchParams({ Action: operation, Version: "2010-05-08", ...(input as object) });
      const headers: Record<string, string> =
        service === "iam"
          ? { authorization, "content-type": "application/x-www-form-urlencoded" }
          : {
              authorization,
              "content-type": "application/x-amz-json-1.1",
              "x-amz-target": `secretsmanager.${operation}`,
            };
      const body = service === "iam" ? form.toString() : JSON.stringify(input);
      const response = await fetch(url, { method: "POST", headers, body });
      const text = await response.text();
      if (!response.ok) throw new Error(`moto answers ${operation} with ${response.status}: ${text}`);
      return text;
    },
    async enforce() {
      const response = await fetch(`${url}moto-api/reset-auth`, { method: "POST", body: "0" });
      if (!response.ok) throw new Error(`moto answers ${response.status} to reset-auth`);
    },
    stop: () => program.stop(),
  };
}
